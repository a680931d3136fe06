/**
 * A branch on any server, made by whoever has its URL.
 *
 * Owns: how a server is asked for one: ours makes it at the login, any other one by CREATE DATABASE … TEMPLATE. Does not own: what is done
 * with it, and when it is dropped.
 * Invariant: a branch that is there is left as it is.
 */
import { makesBranch } from "../engine/branches.ts";
import { executeSql } from "../engine/execute-sql.ts";
import { ExitCode } from "../errors.ts";
import { quoteIdentifier, quoteLiteral } from "../migrate/sql-quoting.ts";
import { DatabaseError } from "../wire/query-results.ts";
import { ServerClient } from "./server-client.ts";

/** A login that makes a branch copies a database. */
const makingMs = 60_000;
const missingDatabase = "3D000";
const objectInUse = "55006";
/** duplicate_database, unique_violation (of the catalog). */
const isThereByNow = new Set(["42P04", "23505"]);

/** What is to be made, and where. */
interface WantedBranch {
  /** The branch's, on its server. */
  readonly url: string;
  readonly database: string;
  readonly template: string;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly silenceMs?: number;
}

/** Runs a query string in another database of the server, and answers with the rows of its last statement. */
type Run = (sql: string) => Promise<readonly (readonly (string | null)[])[]>;

/** Makes a branch unless there is one. Rejects with the server's error. */
export async function ensureBranch(wanted: WantedBranch, run: Run): Promise<void> {
  const { url, database, template, parameters, silenceMs = 0 } = wanted;
  try {
    const login = { parameters: { ...parameters, ...makesBranch }, silenceMs, connectTimeoutMs: makingMs };
    const client = await ServerClient.connect(url, login);
    await executeSql(client, "select 1").finally(() => client.close());
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.code !== missingDatabase) throw error;
    const ours = await isOurs(run).catch(() => {
      // Not even the database is there that it would be a branch of.
      throw error;
    });
    if (ours) {
      const why = `${error.message}; branches need a pglite-devdb with isolated sessions`;
      throw Object.assign(new Error(why, { cause: error }), { exitCode: ExitCode.failure });
    }
    await copyDatabase(run, template, database);
  }
}

/** Whether a server is one with a PGlite: then it would have made the branch if it could. */
async function isOurs(run: Run): Promise<boolean> {
  const [row] = await run("SELECT version() LIKE '%(PGlite %'");
  return row?.[0] === "t";
}

/**
 * CREATE DATABASE … TEMPLATE. PostgreSQL refuses that while others are connected to the template; then the copy is one of a run's own
 * database, if a run has one.
 */
async function copyDatabase(run: Run, template: string, database: string): Promise<void> {
  const copy = (from: string) => run(`CREATE DATABASE ${quoteIdentifier(database)} TEMPLATE ${quoteIdentifier(from)}`);
  try {
    await copy(template);
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    if (isThereByNow.has(error.code)) return;
    if (error.code !== objectInUse) throw error;
    const own = `starts_with(datname, ${quoteLiteral(`${template}~run_`)}) AND datname !~ '~run_[0-9a-f]{8}~'`;
    const [run_] = await run(`SELECT datname FROM pg_database WHERE ${own} ORDER BY oid DESC LIMIT 1`);
    if (!run_?.[0]) throw error;
    await copy(run_[0]);
  }
}
