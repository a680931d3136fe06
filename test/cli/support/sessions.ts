/**
 * Which sessions a server has, what it says about that, and PGlites with which it cannot have its own for each connection.
 *
 * Owns: starting it until it is ready, asking it, ending it; the refusal of a start. Does not own: the installation, what is
 * expected. Invariant: that the sessions are what the ready line says is checked with two connections.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { expect, onTestFinished } from "vitest";
import { type CliSettings, runCli, startCli, temporaryDirectory } from "../../support/cli-process.ts";
import type { Installation } from "../../support/installation.ts";
import {
  withAnEndlessWait,
  withAnotherLayout,
  withAPatternTwice,
  withATrapForAWait,
} from "../../support/pglite-versions.ts";

/** How a warning goes on. */
export const consequence = "; all connections share one PostgreSQL session, as with --sessions shared";
/** Arguments of a start that needs nothing. */
export const start = ["start", "--port", "0", "--migrations", "none", "-o", "json"];
/** How the reason begins when the self-check has failed. */
export const failed = "isolated sessions failed their self-check with this PGlite: ";

/** Starts the program until it is ready, asks it something, and ends it. Returns what it said and how it ended. */
export async function serve(installation: Installation, args: readonly string[] = [], settings: CliSettings = {}) {
  const environment = { ...installation.environment, ...settings.environment };
  const cli = startCli([...start, ...args], { ...settings, cli: installation.cli, environment });
  const [line] = await cli.line(/^\{.*\}\n/);
  const { url, sessions } = JSON.parse(line!) as { url: string; sessions: string };
  const [one, other] = [client(url), client(url)];
  const pids = await Promise.all([one, other].map((sql) => sql`select pg_backend_pid() as pid`));
  expect(pids[0]![0]!.pid === pids[1]![0]!.pid).toBe(sessions === "shared");
  await one`create table kept as select 1 as x`;
  cli.child.kill("SIGTERM");
  const { code, stderr } = await cli.ended;
  expect(code).toBe(143);
  return { sessions, warnings: stderr.split("\n").filter((text) => /warning/.test(text)), stderr };
}

/** A client that ends with the test. */
export function client(url: string) {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  onTestFinished(() => sql.end({ timeout: 1 }));
  return sql;
}

/** Expects that `--sessions isolated` is refused, and that nothing of the database is made. */
export async function expectRefusal(
  installation: Pick<Installation, "cli" | "environment">,
  message: string,
  settings: CliSettings = {},
): Promise<void> {
  const environment = { ...installation.environment, ...settings.environment };
  const cwd = temporaryDirectory();
  const args = [...start, "--db", "data", "--sessions", "isolated"];
  const { code, stderr } = await runCli(args, { ...settings, cli: installation.cli, environment, cwd });
  // A self-check that hangs is a start that takes long.
  const words = stderr.replaceAll(/^pglite-devdb: still starting after .*\n/gm, "");
  expect({ code, stderr: words }).toEqual({ code: 2, stderr: `pglite-devdb: --sessions: ${message}\n` });
  expect(readdirSync(join(cwd, "data"))).toEqual([]);
}

/** Why there cannot be isolated sessions on a Node of this version (`v22.12.0`). */
export const tooOld = (version: string) =>
  `isolated sessions need Node 24 or later (WebAssembly JSPI), this is Node ${version}`;

/** What is wrong with a PGlite, its binary, and what is said about it. */
type Damage = readonly [string, () => Uint8Array, string];

/** One that is found before anything runs. */
export const patternTwice: Damage = [
  "whose binary has one of the rewrite's patterns twice",
  withAPatternTwice,
  'PGlite\'s WebAssembly has 2 places, not one, for a function that refers to "InitProcess"',
];

/** One that is found when sessions run: at once. */
export const trapForAWait: Damage = [
  "whose binary traps when a session waits for a lock",
  withATrapForAWait,
  "unreachable",
];

/** One that is found after a time. */
export const endlessWait: Damage = [
  "whose binary hangs in the self-check (an endless loop where a session waits for a lock)",
  withAnEndlessWait,
  "it did not get past a wait for a row lock within 10 s",
];

/** One that is found when the first session is looked at. */
export const anotherLayout: Damage = [
  "whose binary has another layout of a PGPROC (simulated: MyDatabaseId is elsewhere)",
  withAnotherLayout,
  "PGPROC is not laid out as in PostgreSQL 18",
];
