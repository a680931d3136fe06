/**
 * Checks a file before any of it runs: whether it can run here, and how.
 *
 * Owns: finding the parts that only another program understands (psql's commands, undo sections of other migration tools), and the advice.
 * Does not own: errors that PostgreSQL reports.
 * Invariant: a refused file would stop the engine (COPY FROM STDIN waits for data), or undo itself at once.
 */
import { MigrationError } from "../errors.ts";
import { lineComments } from "../sql/tokens.ts";
import type { Migration } from "./migration.ts";
import { copiesFromStdin, type SqlChunk, type SqlStatement } from "./split-statements.ts";
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
  { comment: /^--[ \t]*migrate:down\b/i, tool: "dbmate", setup: "npx dbmate up" },
  { comment: /^--[ \t]*\+goose[ \t]+down\b/i, tool: "goose", setup: "goose postgres up" },
  { comment: /^--[ \t]*\+migrate[ \t]+down\b/i, tool: "sql-migrate", setup: "sql-migrate up" },
  { comment: /^--[ \t]*down[ \t]+migration\b/i, tool: "node-pg-migrate", setup: "npx node-pg-migrate up" },
];
const mayBeUndo = /\bdown\b/i;

/** Reads a file to its end; `look` gets each chunk, and may refuse it. Rejects with a `MigrationError` with file and line if a part cannot run here. */
export async function checkMigration(
  migration: Migration,
  look: (chunk: SqlChunk) => void = refuseUndoSection,
): Promise<CheckedMigration> {
  let controlsTransactions = false;
  let statementCount = 0;
  let last: SqlStatement | undefined;
  let openedAt: string | undefined;
  for await (const chunk of migration.file.chunks(migration.separator)) {
    look(chunk);
    for (const statement of chunk.statements) {
      refuse(migration, chunk, statement);
      if (isTransactionControl(statement)) {
        controlsTransactions = true;
        if (!beginsTransaction(statement)) openedAt = undefined;
        if (beginsTransaction(statement) || chains(statement)) openedAt ??= placeOf(chunk, statement.start);
      }
      statementCount++;
      last = statement;
    }
  }
  if (openedAt !== undefined)
    throw new MigrationError(
      `${openedAt}: the file does not end the transaction that begins here.\n` +
        "  hint: add COMMIT, or delete BEGIN: the file runs in a transaction anyway",
    );
  const endsWithCommit = last !== undefined && isCommit(last);
  return { ...migration, controlsTransactions, statementCount, endsWithCommit };
}

/** Throws a `MigrationError` if a comment begins an undo section. */
export function refuseUndoSection(chunk: SqlChunk): void {
  if (!mayBeUndo.test(chunk.text)) return;
  for (const { start, text } of lineComments(chunk.text)) {
    const section = UNDO_SECTIONS.find(({ comment }) => comment.test(text));
    if (section === undefined || !/(?:^|[\r\n])[ \t]*$/.test(chunk.text.slice(Math.max(0, start - 100), start)))
      continue;
    const { tool, setup } = section;
    throw new MigrationError(
      `${placeOf(chunk, start)}: an undo section of ${tool} is not supported: run as it is, the file would undo itself.\n` +
        `  hint: have ${tool} apply the folder (--migrations none --setup "${setup}"), or move the undo section to a file NAME.down.sql, which is never applied`,
    );
  }
}

function refuse({ file }: Migration, chunk: SqlChunk, statement: SqlStatement): void {
  if (copiesFromStdin(statement) && chunk.copyData === undefined)
    throw new MigrationError(
      `${placeOf(chunk, statement.start)}: COPY … FROM STDIN with inline data is not supported between statement breakpoints.\n` +
        "  hint: use INSERT, or move the data to a plain .sql file or to the seed",
    );
  if (statement.backslashAt === undefined) return;
  const command = /^\\\S*/.exec(chunk.text.slice(statement.backslashAt))![0];
  const place = placeOf(chunk, statement.backslashAt);
  const what = `the psql meta-command ${command} is not supported`;
  if (!file.isForPsql)
    throw new MigrationError(
      `${place}: ${what} in a file that is compressed or UTF-16: psql cannot read it.\n  hint: convert the file to UTF-8 and do not compress it`,
    );
  throw new NeedsPsqlError(`${place}: ${what}: only psql itself understands it.\n  hint: ${advice(command)}`);
}

function isTransactionControl({ words }: SqlStatement): boolean {
  const [first, second] = words;
  if (first === "start" || first === "prepare") return second === "transaction";
  if (first === "rollback") return !words.includes("to");
  return first === "begin" || first === "commit" || first === "end" || first === "abort";
}

function beginsTransaction({ words: [first] }: SqlStatement): boolean {
  return first === "begin" || first === "start";
}

/** Whether a COMMIT or ROLLBACK begins the next transaction (AND CHAIN). */
function chains({ words }: SqlStatement): boolean {
  const at = words.indexOf("chain");
  return at > 0 && words[at - 1] !== "no";
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
