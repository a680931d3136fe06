/**
 * A machine's first start, when nothing is in the user's cache yet; starts with a cache that is of no use, or not whole.
 *
 * @module-tag long
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../support/cli-process.ts";
import { cluster, identifier } from "./support/first-start.ts";

/** The name of a whole file in the cache: one that is being written has a longer one, which ends with a UUID. */
const whole =
  /^(cluster|sessions|library|code|snapshot|stock)-\d+-(?!.*[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$)[0-9a-z-]+$/;

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
