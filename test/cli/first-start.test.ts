/** A machine's first start, when nothing is in the user's cache yet. What is damaged there: `first-start.long.test.ts`. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../support/cli-process.ts";
import { identifier } from "./support/first-start.ts";

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
