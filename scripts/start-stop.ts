/**
 * `npm run test:start-stop -- [--rounds N]`: starts the built server and ends it, again and again, and looks for what it leaves:
 * processes, sockets, locks, temporary files.
 *
 * Owns: the rounds and what counts as left. Does not own: the tests of single ends (test/faults/, test/cli/).
 * Invariant: everything that a server makes is below one temporary directory, so that nothing is overlooked; exit 1 if anything
 * is left. Every fifth server is killed: then only the lock and PostgreSQL's own file may stay, which the next start takes over.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ExitCode } from "../src/errors.ts";
import { WireClient } from "../test/support/wire-client.ts";
import { ServerProcess } from "./bench/server-process.ts";
import { build } from "./build.ts";
import { parseOptions, runScript, whole } from "./command-line.ts";

const help = `npm run test:start-stop -- [options]

  --rounds N  how often a server is started and ended, 1 to 100000 (default 100)
  --help      this text
`;
const cli = join(import.meta.dirname, "../dist/cli.js");
const ends = ["SIGTERM", "SIGINT", "SIGHUP", "SIGTERM", "SIGKILL"] as const;

/** Where servers put things. */
interface Places {
  readonly temporary: string;
  readonly sockets: string;
  readonly data: string;
}

await runScript({ help, read, run });

function read(argv: readonly string[]): { rounds: number } | "help" {
  const values = parseOptions(argv, { rounds: { type: "string" }, help: { type: "boolean" } } as const, help);
  return values.help ? "help" : { rounds: whole("--rounds", values.rounds ?? "100", 1, 100_000) };
}

async function run({ rounds }: { rounds: number }): Promise<void> {
  await build();
  const root = mkdtempSync(join(tmpdir(), "pglite-devdb-start-stop-"));
  process.once("exit", () => rmSync(root, { recursive: true, force: true }));
  const places = { temporary: join(root, "tmp"), sockets: join(root, "sockets"), data: join(root, "data") };
  for (const directory of [places.temporary, places.sockets]) mkdirSync(directory);
  process.env.TMPDIR = places.temporary;

  const left: string[] = [];
  const began = performance.now();
  for (let round = 0; round < rounds; round++) {
    const sessions = round % 2 === 0 ? "shared" : "isolated";
    const db = round % 4 < 2 ? "memory://" : places.data;
    const signal = ends[round % ends.length]!;
    const found = await play(places, sessions, db, signal);
    const where = db === places.data ? "directory" : db;
    left.push(...found.map((one) => `round ${round} (${sessions}, ${where}, ${signal}): ${one}`));
  }
  console.log(`${rounds} rounds in ${Math.round((performance.now() - began) / 1000)} s, ${left.length} leftovers`);
  for (const one of left) console.error(one);
  process.exitCode = left.length > 0 ? ExitCode.failure : ExitCode.ok;
}

async function play(places: Places, sessions: string, db: string, signal: NodeJS.Signals): Promise<string[]> {
  const options = [
    "--port",
    "0",
    "--migrations",
    "none",
    "-o",
    "json",
    "--tls",
    "auto",
    "--socket-dir",
    places.sockets,
  ];
  const server = new ServerProcess({
    file: process.execPath,
    args: [cli, "start", ...options, "--sessions", sessions, "--db", db],
    stopSignal: signal,
    haltSignal: "SIGKILL",
  });
  const { port } = JSON.parse(await server.readyLine()) as { port: number };
  const client = await WireClient.login({ port });
  await client.query("create table if not exists t (n int); insert into t values (1)");
  await server.stop();
  return signal === "SIGKILL" ? afterKill(places) : leftovers(places, db);
}

function leftovers({ temporary, sockets, data }: Places, db: string): string[] {
  const locks = db === data ? readdirSync(data).filter((name) => /lock|postmaster\.pid|\.init/.test(name)) : [];
  return [...readdirSync(temporary), ...readdirSync(sockets), ...locks];
}

/** Nobody can clean up after a kill; what is left is harmless: the system reuses it or the next start does. */
function afterKill({ temporary, sockets }: Places): string[] {
  for (const directory of [temporary, sockets]) {
    for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true });
  }
  return [];
}
