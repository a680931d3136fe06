/**
 * Runs migrations: the transaction around each, its ledger row, and what happens when PostgreSQL allows no transaction.
 *
 * Owns: atomicity. Does not own: what is pending (the readers), or the text of a failure (`describe-failure.ts`).
 * Invariant: the row that records a file is committed with the file's last statement, or not at all; after a failure
 * nothing is half-applied unless the file cannot run in a transaction, and then the error says so.
 *
 * Three ways to run a file:
 * 1. In one transaction with its ledger row: the normal case. The text is sent whole, so what is executed does not
 *    depend on our cut into statements.
 * 2. PostgreSQL refuses that (CREATE INDEX CONCURRENTLY, VACUUM, ALTER SYSTEM, a procedure that commits …): the
 *    transaction is rolled back and the file runs statement by statement.
 * 3. The file has transaction control of its own (BEGIN, COMMIT …): it runs statement by statement, as psql runs it. Its
 *    ledger row is written before its last statement if that is a COMMIT, so that a file within one BEGIN and COMMIT is
 *    still applied with its row or not at all. A transaction that it leaves open is committed.
 */
import { executeSql } from "../engine/execute-sql.ts";
import type { Log } from "../options.ts";
import { DatabaseError } from "../wire/query-results.ts";
import { describeFailure, type Failure } from "./describe-failure.ts";
import type { Migration, SqlEngine } from "./migration.ts";
import type { SqlChunk, SqlStatement } from "./split-statements.ts";
import { displayPath } from "./sql-file.ts";

/** Is told what is sent next. */
type OnChunk = (migration: Migration, chunk: SqlChunk) => void;

/** A statement that failed, before it is known what that leaves behind. */
class StepFailed extends Error {
  override readonly name = "StepFailed";
  readonly error: DatabaseError;
  readonly step: Omit<Failure, "outcome">;
  constructor(error: DatabaseError, step: Omit<Failure, "outcome">) {
    super(error.message, { cause: error });
    this.error = error;
    this.step = step;
  }
}

/**
 * Applies migrations in one transaction where PostgreSQL allows it, each in its own way where not, and leaves the
 * session as a new one. Throws a `MigrationError`; an error of the engine itself passes through.
 */
export async function runTogether(
  engine: SqlEngine,
  migrations: readonly Migration[],
  log: Log,
  onChunk: OnChunk,
): Promise<void> {
  const controlling = migrations.find(hasTransactionControl);
  const reason = controlling
    ? "it has transaction control of its own"
    : await inFreshSession(engine, () => runInTransaction(engine, migrations, onChunk));
  if (reason === undefined) return;
  if (migrations.length > 1) {
    for (const migration of migrations) await runTogether(engine, [migration], log, onChunk);
    return;
  }
  const migration = migrations[0]!;
  log("info", `${displayPath(migration.file.path)} runs statement by statement, not in one transaction: ${reason}`);
  await inFreshSession(engine, () => runStatementByStatement(engine, migration, controlling !== undefined, onChunk));
}

/**
 * Runs `work`, then makes the session what a new one is: no open transaction, no settings, temporary tables or roles
 * that a file left behind for the next one.
 */
async function inFreshSession<T>(engine: SqlEngine, work: () => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    // The failure of the work is the one to report; an engine that cannot roll back now fails whatever comes next.
    await discardSession(engine).catch(() => undefined);
    throw error;
  }
  await discardSession(engine);
  return result;
}

async function discardSession(engine: SqlEngine): Promise<void> {
  await executeSql(engine, "ROLLBACK");
  await executeSql(engine, "DISCARD ALL");
}

/** Resolves to why PostgreSQL refused to run them in a transaction, or to undefined when they are applied. */
async function runInTransaction(
  engine: SqlEngine,
  migrations: readonly Migration[],
  onChunk: OnChunk,
): Promise<string | undefined> {
  try {
    await executeSql(engine, "BEGIN");
    for (const migration of migrations) {
      for (const chunk of migration.chunks) {
        onChunk(migration, chunk);
        await runChunk(engine, migration, chunk);
      }
      await record(engine, migration);
    }
    await runStep(engine, "COMMIT", { migration: migrations.at(-1)!, chunk: undefined, step: "COMMIT" });
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    if (isRefusalOfTransaction(error)) return error.message;
    const names = migrations.map(({ name }) => name).join(", ");
    throw describeFailure(error.error, { ...error.step, outcome: `Nothing of ${names} was applied.` });
  }
}

async function runStatementByStatement(
  engine: SqlEngine,
  migration: Migration,
  ownControl: boolean,
  onChunk: OnChunk,
): Promise<void> {
  const statements = migration.chunks.flatMap(statementChunks);
  const commitAtEnd = statements.length > 0 && isCommit(statements.at(-1)!.statements[0]!);
  let completed = 0;
  try {
    for (const [i, statement] of statements.entries()) {
      if (commitAtEnd && i === statements.length - 1) await record(engine, migration);
      onChunk(migration, statement);
      await runChunk(engine, migration, statement);
      completed++;
    }
    if (!commitAtEnd) await record(engine, migration);
    await runStep(engine, "COMMIT", { migration, chunk: undefined, step: "COMMIT" });
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    throw describeFailure(error.error, { ...error.step, outcome: outcomeWithoutTransaction(completed, ownControl) });
  }
}

function outcomeWithoutTransaction(completed: number, ownControl: boolean): string {
  if (completed === 0) return "Nothing of the file was applied.";
  if (ownControl) return "What the file itself had committed before this stays applied; the file is not recorded.";
  const before = completed === 1 ? "The statement before this one stays" : `The ${completed} statements before stay`;
  return `${before} applied, because the file cannot run in a transaction; the file is not recorded.`;
}

/** Each statement of a chunk as a chunk of its own. */
function statementChunks(chunk: SqlChunk): SqlChunk[] {
  if (chunk.copyData !== undefined) return [chunk];
  const { text, offset, statements } = chunk;
  return statements.map((statement) => ({
    text: text.slice(statement.start, statement.end),
    offset: offset + statement.start,
    statements: [{ ...statement, words: statement.words, start: 0, end: statement.end - statement.start }],
  }));
}

function runChunk(engine: SqlEngine, migration: Migration, chunk: SqlChunk): Promise<void> {
  return runStep(engine, chunk.text, { migration, chunk }, chunk.copyData);
}

function record(engine: SqlEngine, migration: Migration): Promise<void> {
  // The file may have taken a role that must not write to the ledger.
  return runStep(engine, `RESET SESSION AUTHORIZATION; ${migration.recordSql}`, {
    migration,
    chunk: undefined,
    step: `recording it in ${migration.ledger}`,
  });
}

async function runStep(
  engine: SqlEngine,
  sql: string,
  step: Omit<Failure, "outcome">,
  copyData?: string,
): Promise<void> {
  try {
    await executeSql(engine, sql, copyData);
  } catch (error) {
    throw error instanceof DatabaseError ? new StepFailed(error, step) : error;
  }
}

/**
 * Whether the statement would have run outside a transaction. SQLSTATE 25001 has other causes (SET TRANSACTION after a
 * query), and from within a function or a DO block (a context `W`) such a command runs nowhere. 2D000 is a COMMIT in a
 * procedure or DO block, which is allowed when CALL or DO is not in a transaction block.
 */
function isRefusalOfTransaction({ error, step }: StepFailed): boolean {
  if (error.code === "25001")
    return error.fields.get("R") === "PreventInTransactionBlock" && error.fields.get("W") === undefined;
  const word = step.chunk?.statements[error.completedStatements]?.words[0];
  return error.code === "2D000" && (word === "call" || word === "do");
}

/** Whether a file has BEGIN, COMMIT or the like among its statements. Savepoints are no transaction control. */
function hasTransactionControl({ chunks }: Migration): boolean {
  return chunks.some(({ statements }) => statements.some(isTransactionControl));
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
