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
import { parseArgs } from "node:util";
import { WireClient } from "../test/support/wire-client.ts";
import { leaveNothingBehind } from "./bench/leftovers.ts";
import { ServerProcess } from "./bench/server-process.ts";
import { build } from "./build.ts";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "100" } } });
const rounds = Number(values.rounds);
const cli = join(import.meta.dirname, "../dist/cli.js");
const ends = ["SIGTERM", "SIGINT", "SIGHUP", "SIGTERM", "SIGKILL"] as const;

await build();
leaveNothingBehind();
const root = mkdtempSync(join(tmpdir(), "pglite-devdb-start-stop-"));
process.once("exit", () => rmSync(root, { recursive: true, force: true }));
const [temporary, sockets, data] = ["tmp", "sockets", "data"].map((name) => join(root, name)) as [
  string,
  string,
  string,
];
for (const directory of [temporary, sockets]) mkdirSync(directory);
process.env.TMPDIR = temporary;

const left: string[] = [];
const began = performance.now();
for (let round = 0; round < rounds; round++) {
  const sessions = round % 2 === 0 ? "shared" : "isolated";
  const db = round % 4 < 2 ? "memory://" : data;
  const signal = ends[round % ends.length]!;
  const found = await play(sessions, db, signal);
  left.push(
    ...found.map((one) => `round ${round} (${sessions}, ${db === data ? "directory" : db}, ${signal}): ${one}`),
  );
}
console.log(`${rounds} rounds in ${Math.round((performance.now() - began) / 1000)} s, ${left.length} leftovers`);
for (const one of left) console.error(one);
process.exitCode = left.length > 0 ? 1 : 0;

async function play(sessions: string, db: string, signal: NodeJS.Signals): Promise<string[]> {
  const options = ["--port", "0", "--migrations", "none", "-o", "json", "--tls", "auto", "--socket-dir", sockets];
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
  return signal === "SIGKILL" ? afterKill() : leftovers(db);
}

function leftovers(db: string): string[] {
  const locks = db === data ? readdirSync(data).filter((name) => /lock|postmaster\.pid|\.init/.test(name)) : [];
  return [...readdirSync(temporary), ...readdirSync(sockets), ...locks];
}

/** Nobody can clean up after a kill; what is left is harmless: the system reuses it or the next start does. */
function afterKill(): string[] {
  for (const directory of [temporary, sockets]) {
    for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true });
  }
  return [];
}
