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

test("two servers that start at once with an empty cache both do, and each has a cluster of its own", async () => {
  const home = temporaryDirectory();
  const db = join(temporaryDirectory(), "data");
  const identifiers = await Promise.all([identifier(home), identifier(home, "--db", db, "--fsync", "on")]);
  const cache = join(home, "pglite-devdb");
  const kept = readdirSync(cache).sort();
  expect(kept.filter((name) => name.startsWith("cluster-"))).toHaveLength(1);
  // A file that is being written has a longer name.
  for (const name of kept) expect(name).toMatch(/^(cluster|sessions|library|code|snapshot|stock)-\d+-[0-9a-z-]+$/);
  expect(kept.filter((name) => /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(name))).toEqual([]);
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
  // V8's code is only written when there is enough of it, so it may be due in the second start, or never.
  const added = readdirSync(cache).filter((name) => !blocked.includes(name));
  expect(added.filter((name) => !/^code-\d+-[0-9a-f]{32}$/.test(name))).toEqual([]);
});
