/**
 * A machine's first start, when nothing is in the user's cache yet; starts with a cache that is of no use, or not whole.
 *
 * @module-tag long
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import pg from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { measure } from "../../scripts/memory/measure.ts";
import { createDevDb, startDevDb } from "../../src/index.ts";
import { isAlive, startCli, temporaryDirectory } from "../support/cli-process.ts";
import { report } from "../support/report.ts";
import { waitUntil } from "../support/wait-until.ts";
import { cluster, identifier, whole } from "./support/first-start.ts";

test("two servers that start at once with an empty cache both do, and each has a cluster of its own", async () => {
  const home = temporaryDirectory();
  const db = join(temporaryDirectory(), "data");
  const identifiers = await Promise.all([identifier(home), identifier(home, "--db", db, "--fsync", "on")]);
  const cache = join(home, "pglite-devdb");
  const kept = readdirSync(cache).sort();
  expect(kept.filter((name) => name.startsWith("cluster-"))).toHaveLength(1);
  for (const name of kept) expect(name).toMatch(whole);
  identifiers.push(await identifier(home));
  expect(new Set(identifiers).size).toBe(3);
});

test("a directory that PGlite itself has made is opened, with what is in it", async () => {
  const db = join(temporaryDirectory(), "data");
  const pglite = await PGlite.create(db);
  await pglite.exec("create table kept as select generate_series(1, 1000) as n");
  await pglite.close();
  for (const sessions of ["isolated", "shared"]) {
    const args = ["--port", "0", "-o", "json", "--migrations", "none", "--db", db, "--sessions", sessions];
    const server = startCli(args);
    const client = new pg.Client((JSON.parse((await server.line(/^.*\n/))[0]!) as { url: string }).url);
    await client.connect();
    expect((await client.query("select sum(n)::int from kept")).rows).toEqual([{ sum: 500500 }]);
    await client.end();
    server.child.kill("SIGTERM");
    expect((await server.ended).code).toBe(143);
  }
});

test("a cache whose files have all been cut off is made again", async () => {
  const home = temporaryDirectory();
  await identifier(home);
  const cache = join(home, "pglite-devdb");
  const whole = readFileSync(cluster(cache));
  for (const name of readdirSync(cache)) truncateSync(join(cache, name), statSync(join(cache, name)).size >> 1);
  await identifier(home, "--sessions", "shared");
  expect(readFileSync(cluster(cache)).length).toBeGreaterThan(whole.length * 0.9);
  await identifier(home);
});

test("a cache in which nothing can be read or replaced is done without", async () => {
  const home = temporaryDirectory();
  await identifier(home);
  const cache = join(home, "pglite-devdb");
  // A directory in the place of a file: also root can neither read nor replace it.
  for (const name of readdirSync(cache)) {
    rmSync(join(cache, name));
    mkdirSync(join(cache, name, "full"), { recursive: true });
  }
  const blocked = readdirSync(cache);
  await identifier(home);
  for (const name of blocked) expect(readdirSync(join(cache, name))).toEqual(["full"]);
  // What the first start had no time for is made in the second one: V8's code, and the snapshot of what has booted.
  for (const name of readdirSync(cache)) if (!blocked.includes(name)) expect(name).toMatch(whole);
});

/** The processes that `pid` has made for what takes much memory, when there are as many as there will be. */
async function separateProcesses(pid: number, count: number): Promise<number[]> {
  let found: number[] = [];
  await waitUntil(`it has ${count} processes`, () => {
    const lines = execFileSync("ps", ["-eo", "ppid=,pid=,args="], { encoding: "utf8" }).split("\n");
    const ours = lines.map((line) => line.trim().split(/\s+/)).filter(([parent]) => Number(parent) === pid);
    found = ours
      .filter((words) => words.some((word) => word.includes("separate-process")))
      .map(([, own]) => Number(own));
    return found.length === count;
  });
  return found;
}

/** Has this process start what it starts with that cache. */
function useCache(home: string): void {
  const before = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = home;
  onTestFinished(() => {
    if (before === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = before;
  });
}

describe.skipIf(process.platform === "win32")("what a first start does in other processes", () => {
  test("ends when the server is killed", async () => {
    const home = temporaryDirectory();
    const server = startCli(["--port", "0", "--migrations", "none"], { environment: { XDG_CACHE_HOME: home } });
    const pids = await separateProcesses(server.pid, 2);
    server.child.kill("SIGKILL");
    await waitUntil("they are gone", () => !pids.some(isAlive));
    const kept = () => readdirSync(join(home, "pglite-devdb"));
    // Claims of somebody who is dead hold up nobody, and go with the next start.
    expect(kept().filter((name) => !whole.test(name) && !name.endsWith(".making"))).toEqual([]);
    await identifier(home);
    for (const name of kept()) expect(name).toMatch(whole);
  });

  test.each(["memory://", "directory"])("ends when the start is stopped, which leaves nothing: %s", async (kind) => {
    const home = temporaryDirectory();
    useCache(home);
    const db = kind === "memory://" ? kind : join(temporaryDirectory(), "data");
    const control = createDevDb({ port: 0, migrations: "none", db });
    const starting = control.start();
    starting.catch(() => {});
    const pids = await separateProcesses(process.pid, 2);
    await control.stop();
    await expect(starting).rejects.toThrow("stopped while it was starting");
    expect(pids.some(isAlive)).toBe(false);
    // Had one of them come to its end, there would be what it has made.
    const kept = existsSync(join(home, "pglite-devdb")) ? readdirSync(join(home, "pglite-devdb")) : [];
    expect(kept.filter((name) => /^(cluster|sessions)-/.test(name))).toEqual([]);
    if (db === kind) return;
    // Nothing of the abandoned one is in the way.
    await using again = await startDevDb({ port: 0, migrations: "none", db });
    expect(again.url).toContain("postgresql://");
  });
});

/** Far below what it was when initdb was a thread of the server: a gigabyte. */
const peakMb = 400;

test.skipIf(process.platform !== "linux")("the server of a first start stays below its limit", async () => {
  useCache(temporaryDirectory());
  const { startMb } = await measure({ sessions: "isolated", db: "memory://" }, 0);
  report(`${Math.round(startMb!)} MB`);
  expect(startMb).toBeLessThan(peakMb);
});
