/**
 * Starts that have nothing of a snapshot which is there.
 *
 * @module-tag long
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../support/cli-process.ts";
import { install } from "../support/installation.ts";
import { kept, run, snapshots } from "./support/boot-snapshot.ts";

test("one without a cache, one on a disk, one with one session for all", async () => {
  const installation = install({ isRewritten: true });
  await run(installation, [], kept(installation.cache));
  const [path] = snapshots(installation.cache) as [string];
  const whole = readFileSync(path);
  const db = join(temporaryDirectory(), "db");
  for (const args of [["--no-cache"], ["--db", db], ["--db", db], ["--sessions", "shared"]]) {
    expect([args, (await run(installation, args)).isRestored]).toEqual([args, false]);
    expect(snapshots(installation.cache)).toEqual([path]);
  }
  expect(readFileSync(path).equals(whole)).toBe(true);
  expect((await run(installation)).isRestored).toBe(true);
});

test("the second start on a machine begins with what the first one has kept", async () => {
  const installation = install();
  expect((await run(installation, [], kept(installation.cache))).isRestored).toBe(false);
  expect((await run(installation)).isRestored).toBe(true);
  expect(snapshots(installation.cache)).toHaveLength(1);
});
