/**
 * Checks a file before any of it runs: whether it can run here, and how.
 *
 * Owns: finding the parts that only another program understands (psql's commands, undo sections of other migration tools), and the advice.
 * Does not own: errors that PostgreSQL reports.
 * Invariant: a refused file would stop the engine (COPY FROM STDIN waits for data), or undo itself at once.
 */
import { MigrationError } from "../errors.ts";
import type { Migration } from "./migration.ts";
import type { SqlChunk, SqlStatement } from "./split-statements.ts";
import { copiesFromStdin } from "./sql-chunks.ts";
import { describePlaceIn, placeAfter } from "./sql-place.ts";

/** A migration that can run here. */
export interface CheckedMigration extends Migration {
  /** Whether it has BEGIN, COMMIT or the like. Savepoints do not count. */
  readonly controlsTransactions: boolean;
  readonly statementCount: number;
  /** Whether its last statement is a COMMIT. */
  readonly endsWithCommit: boolean;
}

/** A file has a command that only psql understands. */
export class NeedsPsqlError extends MigrationError {}

/** Comments that begin an undo section; the whole file, run as it is, would undo itself. */
const UNDO_SECTIONS: readonly { readonly comment: RegExp; readonly tool: string; readonly setup: string }[] = [
  { comment: /^[ \t]*--[ \t]*migrate:down\b/im, tool: "dbmate", setup: "npx dbmate up" },
  { comment: /^[ \t]*--[ \t]*\+goose[ \t]+down\b/im, tool: "goose", setup: "goose postgres up" },
  { comment: /^[ \t]*--[ \t]*\+migrate[ \t]+down\b/im, tool: "sql-migrate", setup: "sql-migrate up" },
  { comment: /^[ \t]*--[ \t]*down[ \t]+migration\b/im, tool: "node-pg-migrate", setup: "npx node-pg-migrate up" },
];

/** Reads a file to its end; `look` gets each chunk. Rejects with a `MigrationError` with file and line if a part cannot run here. */
export async function checkMigration(
  migration: Migration,
  look: (chunk: SqlChunk) => void = () => undefined,
): Promise<CheckedMigration> {
  let controlsTransactions = false;
  let statementCount = 0;
  let last: SqlStatement | undefined;
  for await (const chunk of migration.file.chunks(migration.separator)) {
    look(chunk);
    refuseUndoSection(chunk);
    for (const statement of chunk.statements) {
      refuse(chunk, statement);
      controlsTransactions ||= isTransactionControl(statement);
      statementCount++;
      last = statement;
    }
  }
  const endsWithCommit = last !== undefined && isCommit(last);
  return { ...migration, controlsTransactions, statementCount, endsWithCommit };
}

function refuseUndoSection(chunk: SqlChunk): void {
  for (const { comment, tool, setup } of UNDO_SECTIONS) {
    const match = comment.exec(chunk.text);
    if (match === null) continue;
    throw new MigrationError(
      `${placeOf(chunk, match.index)}: an undo section of ${tool} is not supported: run as it is, the file would undo itself.\n` +
        `  hint: have ${tool} apply the folder (--migrations none --setup "${setup}"), or move the undo section to a file NAME.down.sql, which is never applied`,
    );
  }
}

function refuse(chunk: SqlChunk, statement: SqlStatement): void {
  if (copiesFromStdin(statement) && chunk.copyData === undefined)
    throw new MigrationError(
      `${placeOf(chunk, statement.start)}: COPY … FROM STDIN with inline data is not supported between statement breakpoints.\n` +
        "  hint: use INSERT, or move the data to a plain .sql file or to the seed",
    );
  if (statement.backslashAt === undefined) return;
  const command = /^\\\S*/.exec(chunk.text.slice(statement.backslashAt))![0];
  throw new NeedsPsqlError(
    `${placeOf(chunk, statement.backslashAt)}: the psql meta-command ${command} is not supported: only psql itself understands it.\n  hint: ${advice(command)}`,
  );
}

function isTransactionControl({ words }: SqlStatement): boolean {
  const [first, second] = words;
  if (first === "start" || first === "prepare") return second === "transaction";
  if (first === "rollback") return !words.includes("to");
  return first === "begin" || first === "commit" || first === "end" || first === "abort";
}

function isCommit({ words }: SqlStatement): boolean {
  return (words[0] === "commit" || words[0] === "end") && words[1] !== "prepared";
}

function advice(command: string): string {
  switch (command) {
    case "\\c":
    case "\\connect":
      return 'the rest of the file is for another database: run the file with psql, psql "$DATABASE_URL" -f FILE, once the server is up';
    case "\\copy":
      return "use \\copy TABLE FROM 'FILE', or run the file with psql once the server is up";
    default:
      return 'delete it, or run the file with psql, psql "$DATABASE_URL" -f FILE, once the server is up';
  }
}

function placeOf({ path, text, place }: SqlChunk, offset: number): string {
  return describePlaceIn(path, placeAfter(text.slice(0, offset), place));
}
