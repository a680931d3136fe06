/**
 * What a file may hold that only another program understands: psql's meta-commands, COPY with inline data among drizzle-kit's
 * breakpoints, and the undo sections of other migration tools.
 *
 * Owns: finding these before anything runs, and saying what to use. Does not own: errors that PostgreSQL reports.
 * Invariant: what is refused here would stop the engine (COPY FROM STDIN waits for data), or apply and undo at once.
 */
import { MigrationError } from "../errors.ts";
import type { Migration } from "./migration.ts";
import { copiesFromStdin } from "./psql-file.ts";
import type { SqlStatement } from "./split-statements.ts";
import { displayPath, lineAndColumn } from "./sql-file.ts";

/** Comments that begin an undo section; the whole file, run as it is, would undo itself. */
const UNDO_SECTIONS: readonly { readonly comment: RegExp; readonly tool: string }[] = [
  { comment: /^[ \t]*--[ \t]*migrate:down\b/im, tool: "dbmate" },
  { comment: /^[ \t]*--[ \t]*\+goose[ \t]+down\b/im, tool: "goose" },
  { comment: /^[ \t]*--[ \t]*\+migrate[ \t]+down\b/im, tool: "sql-migrate" },
  { comment: /^[ \t]*--[ \t]*down[ \t]+migration\b/im, tool: "node-pg-migrate" },
];

/** Throws a `MigrationError` with file and line when a file holds what cannot be run here. */
export function refuseUnsupported({ file, chunks }: Pick<Migration, "file" | "chunks">): void {
  for (const { comment, tool } of UNDO_SECTIONS) {
    const match = comment.exec(file.text);
    if (match === null) continue;
    const place = placeOf(file, match.index);
    throw new MigrationError(
      `${place}: an undo section of ${tool} is not supported: run as it is, the file would undo itself.\n` +
        `  hint: have ${tool} apply the folder (--migrations none --setup "CMD"), or put the undo section into a file NAME.down.sql, which is never applied`,
    );
  }
  for (const { text, offset, statements, copyData } of chunks)
    for (const statement of statements) {
      const reason = copyData === undefined ? refusal(text, statement) : undefined;
      if (reason !== undefined) throw new MigrationError(`${placeOf(file, offset + reason.at)}: ${reason.text}`);
    }
}

function refusal(text: string, statement: SqlStatement): { at: number; text: string } | undefined {
  if (copiesFromStdin(statement))
    return {
      at: statement.start,
      text:
        "COPY … FROM STDIN with inline data is not supported between statement breakpoints.\n" +
        "  hint: use INSERT; or make it a plain .sql file, or the seed",
    };
  if (statement.backslashAt === undefined) return undefined;
  const command = /^\\\S*/.exec(text.slice(statement.backslashAt))![0];
  return {
    at: statement.backslashAt,
    text: `the psql meta-command ${command} is not supported: only psql itself understands it.\n  hint: ${advice(command)}`,
  };
}

function advice(command: string): string {
  switch (command) {
    case "\\copy":
      return "use INSERT; `pg_dump --column-inserts` writes such files";
    case "\\i":
    case "\\ir":
    case "\\include":
      return "put the SQL of the included file here, or make it a migration of its own";
    case "\\c":
    case "\\connect":
      return "migrations run in the one database that the server serves; delete the line";
    default:
      return "delete it, or run the file with psql once the server is up";
  }
}

function placeOf(file: Migration["file"], offset: number): string {
  const { line, column } = lineAndColumn(file.text, offset);
  return `${displayPath(file.path)}:${line}:${column}`;
}
