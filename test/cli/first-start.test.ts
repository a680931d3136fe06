/** A machine's first start, when nothing is in the user's cache yet, and starts with a cache that is of no use. */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { expect, test } from "vitest";
import { startCli, temporaryDirectory } from "../support/cli-process.ts";

/** Starts, asks for the cluster's identifier, and ends. Whatever is said on stderr but the end is an error. */
async function identifier(cacheHome: string, ...args: string[]): Promise<string> {
  const options = ["start", "--port", "0", "--migrations", "none", "-o", "json", "--log-level", "error", ...args];
  const server = startCli(options, { environment: { XDG_CACHE_HOME: cacheHome } });
  const [line] = await server.line(/^.*\n/);
  const client = new pg.Client((JSON.parse(line!) as { url: string }).url);
  await client.connect();
  await client.query("create table t (n int); insert into t values (1)");
  const { rows } = await client.query("select system_identifier from pg_control_system()");
  await client.end();
  server.child.kill("SIGTERM");
  const { stdout, stderr } = await server.ended;
  expect(stdout).toBe(line);
  expect(stderr.replace(/^.*SIGTERM.*\n/, "")).toBe("");
  return rows[0].system_identifier as string;
}

const cluster = (cache: string) => join(cache, readdirSync(cache).find((name) => name.startsWith("cluster-"))!);

test("two servers that start at once with an empty cache both do, and each has a cluster of its own", {
  timeout: 240_000,
}, async () => {
  const home = temporaryDirectory();
  const db = join(temporaryDirectory(), "data");
  const identifiers = await Promise.all([identifier(home), identifier(home, "--db", db, "--fsync", "on")]);
  const cache = join(home, "pglite-devdb");
  const kept = readdirSync(cache).sort();
  expect(kept.filter((name) => name.startsWith("cluster-"))).toHaveLength(1);
  // A file that is being written has a longer name.
  for (const name of kept) expect(name).toMatch(/^(cluster|sessions|library)-\d+-[0-9a-z-]+$/);
  expect(kept.filter((name) => /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(name))).toEqual([]);
  identifiers.push(await identifier(home));
  expect(new Set(identifiers).size).toBe(3);
});

test("a cache whose files have all been cut off is made again", { timeout: 240_000 }, async () => {
  const home = temporaryDirectory();
  await identifier(home);
  const cache = join(home, "pglite-devdb");
  const whole = readFileSync(cluster(cache));
  for (const name of readdirSync(cache)) truncateSync(join(cache, name), statSync(join(cache, name)).size >> 1);
  await identifier(home, "--sessions", "shared");
  expect(readFileSync(cluster(cache)).length).toBeGreaterThan(whole.length * 0.9);
  await identifier(home);
});

test("a cache in which nothing can be read or replaced is done without", { timeout: 240_000 }, async () => {
  const home = temporaryDirectory();
  await identifier(home);
  const cache = join(home, "pglite-devdb");
  // A directory in the place of a file: also root can neither read nor replace it.
  for (const name of readdirSync(cache)) {
    rmSync(join(cache, name));
    mkdirSync(join(cache, name, "full"), { recursive: true });
  }
  const names = readdirSync(cache);
  await identifier(home);
  expect(readdirSync(cache)).toEqual(names);
});
