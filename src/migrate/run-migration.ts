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
 *    still applied with its row or not at all. `check-migration.ts` refuses a file that leaves a transaction open.
 */
import { executeCopy, executeSql } from "../engine/execute-sql.ts";
import type { Log } from "../options.ts";
import { DatabaseError } from "../wire/query-results.ts";
import type { CheckedMigration } from "./check-migration.ts";
import { describeFailure, type Failure } from "./describe-failure.ts";
import type { Migration, SqlEngine } from "./migration.ts";
import type { SqlChunk } from "./split-statements.ts";
import { displayPath, placeAfter } from "./sql-place.ts";

/** Is told what is sent next. */
type OnChunk = (migration: CheckedMigration, chunk: SqlChunk) => void;

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
  migrations: readonly CheckedMigration[],
  log: Log,
  onChunk: OnChunk,
): Promise<void> {
  const controlling = migrations.find(({ controlsTransactions }) => controlsTransactions);
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
  migrations: readonly CheckedMigration[],
  onChunk: OnChunk,
): Promise<string | undefined> {
  try {
    await executeSql(engine, "BEGIN");
    for (const migration of migrations) {
      await begin(engine, migration);
      for await (const chunk of migration.file.chunks(migration.separator)) {
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
  migration: CheckedMigration,
  ownControl: boolean,
  onChunk: OnChunk,
): Promise<void> {
  const { endsWithCommit, statementCount } = migration;
  let completed = 0;
  try {
    await begin(engine, migration);
    for await (const chunk of migration.file.chunks(migration.separator)) {
      for (const statement of statementChunks(chunk)) {
        if (endsWithCommit && completed === statementCount - 1) await record(engine, migration);
        onChunk(migration, statement);
        await runChunk(engine, migration, statement);
        completed++;
      }
    }
    if (!endsWithCommit) await record(engine, migration);
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
  const { path, text, offset, place, statements } = chunk;
  return statements.map((statement) => ({
    path,
    text: text.slice(statement.start, statement.end),
    offset: offset + statement.start,
    place: placeAfter(text.slice(0, statement.start), place),
    statements: [{ ...statement, words: statement.words, start: 0, end: statement.end - statement.start }],
  }));
}

async function begin(engine: SqlEngine, migration: Migration): Promise<void> {
  const { prelude: step } = migration;
  if (step !== undefined) await runStep(engine, step, { migration, chunk: undefined, step });
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
  copyData?: AsyncIterable<Uint8Array>,
): Promise<void> {
  try {
    await (copyData ? executeCopy(engine, sql, copyData) : executeSql(engine, sql));
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
