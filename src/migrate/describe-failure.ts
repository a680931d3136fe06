/**
 * What a person reads when a file fails: the place in the file, the statement, and all that PostgreSQL said.
 *
 * Owns: the text of that error. Does not own: what is done about the failure.
 * Invariant: names file, statement and SQLSTATE, also for an error without a position (a violated constraint).
 */
import { adviceAboutExtension } from "../engine/extensions.ts";
import { MigrationError } from "../errors.ts";
import type { DatabaseError } from "../wire/query-results.ts";
import type { Migration } from "./migration.ts";
import { seedLedger } from "./own-ledger.ts";
import type { SqlChunk } from "./split-statements.ts";
import { describePlaceIn, displayPath, offsetOfCharacter, placeAfter } from "./sql-place.ts";

/** How much of a statement is shown. */
const SHOWN_LINES = 6;
const SHOWN_COLUMNS = 160;

/** What failed, and what that leaves behind. */
export interface Failure {
  readonly migration: Migration;
  /** The part of the file that was sent; undefined when the failing statement is not in the file (COMMIT, the ledger). */
  readonly chunk: SqlChunk | undefined;
  /** What ran when it is not in the file. */
  readonly step?: string;
  /** What is applied now: a sentence. */
  readonly outcome: string;
}

/** The error to throw for a statement that failed; `cause` is PostgreSQL's own error. */
export function describeFailure(error: DatabaseError, failure: Failure): MigrationError {
  const { fields } = error;
  const { chunk } = failure;
  const failing = chunk && failingStatement(error, chunk);
  const place = failing && describePlaceIn(chunk.path, placeAfter(chunk.text.slice(0, failing.offset), chunk.place));
  const lines = [
    `${place ?? displayPath(failure.migration.file.path)}: ${error.message} (SQLSTATE ${error.code})`,
    ...(failing ? ["  statement:", ...excerpt(failing.text).map((line) => `    ${line}`)] : []),
    ...(failure.step === undefined ? [] : [`  while: ${failure.step}`]),
  ];
  for (const [field, label] of [
    ["D", "detail"],
    ["H", "hint"],
    ["q", "query"],
    ["W", "where"],
  ] as const) {
    const value = (field === "H" ? adviceOf(error, failure.migration, failing?.text) : undefined) ?? fields.get(field);
    if (value !== undefined) lines.push(`  ${label}: ${value.replaceAll("\n", "\n    ")}`);
  }
  lines.push(`  ${failure.outcome}`);
  return new MigrationError(lines.join("\n"), { cause: error });
}

function adviceOf({ message, code }: DatabaseError, migration: Migration, statement = ""): string | undefined {
  return adviceAboutExtension(message) ?? adviceAboutOwner(message, statement) ?? adviceAboutLedger(code, migration);
}

/** duplicate_table, duplicate_object, duplicate_schema, duplicate_function. */
const duplicates = new Set(["42P07", "42710", "42P06", "42723"]);

/** Advice for an object that exists although the ledger lacks the migration that creates it. */
function adviceAboutLedger(code: string, { name, ledger, recordSql }: Migration): string | undefined {
  // A dump that is restored is in no ledger.
  if (!duplicates.has(code) || recordSql === "" || ledger === seedLedger) return;
  return (
    `${ledger} has no row for ${name}, so another tool created the object (drizzle-kit push, a restored dump). ` +
    "Start with an empty database (pglite-devdb wipe, or another --db or --database), or add a row for each applied migration to the ledger"
  );
}

/** A dump names the roles of the server that it comes from, and does not make them. */
function adviceAboutOwner(message: string, statement: string): string | undefined {
  const [, role] = /^role "(.*)" does not exist$/.exec(message) ?? [];
  if (role === undefined || !/\bowner\s+to\b|^\s*(grant|revoke|alter\s+default\s+privileges)\b/i.test(statement))
    return;
  return (
    `owners and rights are left out of a dump by pg_dump --no-owner --no-acl; ` +
    `or make the role before, with --user ${role} or CREATE ROLE in a migration`
  );
}

/** The statement that failed, and the offset in the chunk to point at. */
function failingStatement(error: DatabaseError, chunk: SqlChunk): { text: string; offset: number } {
  const { statements, text } = chunk;
  const position = Number(error.fields.get("P") ?? 0);
  const at = position > 0 ? offsetOfCharacter(text, position) : undefined;
  const statement =
    (at === undefined ? statements[error.completedStatements] : statements.findLast(({ start }) => start <= at)) ??
    statements.at(-1)!;
  // "at end of input" is past the last token, where a file often has an empty line.
  const pointedAt = at === undefined ? statement.start : Math.min(at, statement.end);
  return { text: text.slice(statement.start, statement.end), offset: pointedAt };
}

function excerpt(statement: string): string[] {
  const lines = statement.split(/\r\n|\r|\n/);
  const shown = lines
    .slice(0, SHOWN_LINES)
    .map((line) => (line.length > SHOWN_COLUMNS ? `${line.slice(0, SHOWN_COLUMNS)} …` : line));
  return lines.length > SHOWN_LINES ? [...shown, `… (${lines.length - SHOWN_LINES} more lines)`] : shown;
}
