/** Servers that begin with the snapshot of an earlier one, and those that do not. */
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { install } from "../support/installation.ts";
import { kept, run, snapshots } from "./support/boot-snapshot.ts";

test("two that start at once without a snapshot leave one; two at once begin with it, and are different servers", {
  tags: "long",
}, async () => {
  const installation = install({ isRewritten: true });
  const { cache } = installation;
  const first = await Promise.all([1, 2].map(() => run(installation, [], kept(cache))));
  expect(first.map(({ isRestored }) => isRestored)).toEqual([false, false]);
  const [path, ...others] = snapshots(cache);
  expect(others).toEqual([]);
  if (process.platform !== "win32") expect(statSync(path!).mode & 0o777).toBe(0o600);
  const whole = readFileSync(path!);
  const second = await Promise.all([run(installation), run(installation)]);
  expect(second.map(({ isRestored }) => isRestored)).toEqual([true, true]);
  expect(new Set([...first, ...second].map(({ identifier }) => identifier)).size).toBe(4);
  expect(readFileSync(path!).equals(whole)).toBe(true);
});

test("one is kept when nobody wants anything, and one that is damaged is made anew", { tags: "long" }, async () => {
  const installation = install({ isRewritten: true });
  const { cache } = installation;
  await run(installation, [], kept(cache));
  const [path] = snapshots(cache) as [string];
  const damaged = readFileSync(path);
  const { ino } = statSync(path);
  damaged[damaged.length >> 1]! ^= 1;
  writeFileSync(path, damaged);
  expect((await run(installation, [], kept(cache, ino))).isRestored).toBe(false);
  expect((await run(installation)).isRestored).toBe(true);
  if (process.platform === "win32") return;
  chmodSync(path, 0o666);
  expect((await run(installation, [], kept(cache, statSync(path).ino))).isRestored).toBe(false);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect((await run(installation)).isRestored).toBe(true);
});
