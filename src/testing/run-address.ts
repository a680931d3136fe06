/**
 * How the processes of tests find the server of their run: in the environment with which they are started.
 *
 * Owns: the variable. Does not own: starting the server (`run-server.ts`), which tests do not load.
 */
const variable = "PGLITE_DEVDB_TEST_SERVER";

/** Tells processes that are started from now on; undefined: there is none any more. */
export function tellServerOfRun(url: string | undefined): void {
  if (url === undefined) delete process.env[variable];
  else process.env[variable] = url;
}

/** What this process was told. */
export function serverOfRun(): string | undefined {
  return process.env[variable];
}
