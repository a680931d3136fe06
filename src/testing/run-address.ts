/**
 * The environment that leads a run's processes to the run's server: `DATABASE_URL`, `PG*`, and one variable of ours.
 *
 * Owns: these variables, in the runner's main process and in the processes of tests. Does not own: starting the server (`run-server.ts`).
 * Invariant: while the server runs, no process of the run finds another database there, whatever `.env` names: dotenv and Node's
 * own reader leave alone what is set.
 */
import { branchDatabase } from "../engine/branches.ts";
import { readServerUrl, withDatabase } from "../options/server-url.ts";

/** `DATABASE_URL` and `PG*` of a server (`connectionEnvironment`). */
export type ServerEnvironment = Readonly<Record<string, string>>;

/** Has the server's environment as JSON. */
const variable = "PGLITE_DEVDB_TEST_SERVER";

/** The name of a worker's database, as a branch. */
export function workerBranch(worker: string): string {
  return `worker_${worker}`;
}

/** Processes that do not say which worker they are share this one's database. */
const unnamedWorker = "main";

/**
 * Leads this process, and those that it starts, to the run's server. Returns the way back. No process gets the migrated database
 * itself: every other one is a copy of it.
 */
export function leadToServer(server: ServerEnvironment): () => void {
  return setVariables({ ...inDatabase(server, unnamedWorker), [variable]: JSON.stringify(server) });
}

/** Leads this process to its worker's database. To be called before a test file is imported. Does nothing outside of a run. */
export function leadToWorker(worker: string, server: ServerEnvironment | undefined = serverOfRun()): void {
  if (server) setVariables({ ...inDatabase(server, worker), [variable]: JSON.stringify(server) });
}

/** Whether this process was started by the runner, and not by a test, which has led it to its own database. */
export function isUnnamedWorker(): boolean {
  const server = serverOfRun();
  return server !== undefined && process.env.DATABASE_URL === inDatabase(server, unnamedWorker).DATABASE_URL;
}

/** Leads this process to a database of the run's server. Returns the way back. */
export function leadToDatabase({ url, name }: { readonly url: string; readonly name: string }): () => void {
  return setVariables({ DATABASE_URL: url, PGDATABASE: name });
}

/** The run's server; undefined outside of a run. */
export function serverOfRun(): ServerEnvironment | undefined {
  const told = process.env[variable];
  return told === undefined ? undefined : (JSON.parse(told) as ServerEnvironment);
}

function inDatabase(server: ServerEnvironment, worker: string): ServerEnvironment & Record<"DATABASE_URL", string> {
  const url = server.DATABASE_URL!;
  const database = branchDatabase(readServerUrl(url, "the server").database, workerBranch(worker));
  return { ...server, DATABASE_URL: withDatabase(url, database), PGDATABASE: database };
}

function setVariables(variables: Readonly<Record<string, string>>): () => void {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}
