/** Which files go from the user's cache, and which never do. */
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { pruneWhereWritten } from "../../../src/system/cache-pruning.ts";
import { cacheDirectory, forgoCache, keepInCache, readCached } from "../../../src/system/user-cache.ts";

const daySeconds = 24 * 3600;
const now = () => Date.now() / 1000;

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "pruning-"));
  pruneWhereWritten();
  return () => rmSync(directory, { recursive: true, force: true });
});

/** A file that was made a year ago and last read so many days ago. */
function file(name: string, daysUnread: number): string {
  const path = join(directory, name);
  writeFileSync(path, name, { mode: 0o600 });
  utimesSync(path, now() - daysUnread * daySeconds, now() - 365 * daySeconds);
  return path;
}

const write = () => expect(keepInCache(join(directory, "code-1-aa"), Buffer.from("x"))).toBe(true);

const ours = [
  "cluster-1-6fkd1a9uyks-5es5g1gafd7l-3pxdp1qaksay",
  "library-44-412cc7a17c21cbd9b84302fd5c9ead1b",
  "sessions-43-7ec09d5161aabfe03cf6f3999549398a",
  "shared-2-7ec09d5161aabfe03cf6f3999549398a",
  "code-1-7ec09d5161aabfe03cf6f3999549398a",
  "stock-1-7ec09d5161aabfe03cf6f3999549398a",
  "snapshot-1-7ec09d5161aabfe03cf6f3999549398a",
  "code-1-7ec09d5161aabfe03cf6f3999549398a.0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f",
];

test("files of any kind that nobody has read for a month go when one is written, others of ours stay", () => {
  for (const name of ours) file(name, 31);
  for (const name of ours) file(`${name.split(".")[0]}0`, 29);
  pruneWhereWritten();
  expect(readdirSync(directory)).toHaveLength(15);
  write();
  pruneWhereWritten();
  const stay = [...new Set(ours.map((name) => `${name.split(".")[0]}0`)), "code-1-aa"];
  expect(readdirSync(directory).sort()).toEqual(stay.sort());
});

test("of more than 150 MB the files that were read longest ago go, and snapshots before all others", () => {
  const sized = (name: string, mb: number, daysUnread: number) => {
    const path = file(name, daysUnread);
    truncateSync(path, mb * 1_000_000);
    utimesSync(path, now() - daysUnread * daySeconds, now() - 365 * daySeconds);
  };
  sized("cluster-1-aa", 30, 20);
  sized("sessions-1-aa", 10, 20);
  for (const day of [1, 2, 3, 4, 5, 6, 7]) sized(`snapshot-1-a${day}`, 25, day);
  write();
  pruneWhereWritten();
  const stay = ["cluster-1-aa", "code-1-aa", "sessions-1-aa", ...[1, 2, 3, 4].map((day) => `snapshot-1-a${day}`)];
  expect(readdirSync(directory).sort()).toEqual(stay.sort());
  // Without snapshots it is the oldest of the others.
  for (const day of [1, 2, 3, 4]) rmSync(join(directory, `snapshot-1-a${day}`));
  sized("cluster-1-bb", 100, 1);
  sized("cluster-1-cc", 25, 2);
  write();
  pruneWhereWritten();
  expect(readdirSync(directory).sort()).toEqual(["cluster-1-bb", "cluster-1-cc", "code-1-aa", "sessions-1-aa"]);
});

test("a snapshot that was written or read just now stays, and the others make room for it", () => {
  const sized = (name: string, mb: number, daysUnread: number) => truncateSync(file(name, daysUnread), mb * 1_000_000);
  for (const day of [1, 2, 3, 4, 5]) sized(`sessions-1-a${day}`, 30, day);
  sized("snapshot-1-aa", 25, 0);
  readCached(join(directory, "snapshot-1-aa"));
  sized("snapshot-1-bb", 25, 0);
  expect(keepInCache(join(directory, "snapshot-1-cc"), Buffer.alloc(25_000_000))).toBe(true);
  pruneWhereWritten();
  const stay = [1, 2, 3].map((day) => `sessions-1-a${day}`);
  expect(readdirSync(directory).sort()).toEqual([...stay, "snapshot-1-aa", "snapshot-1-cc"]);
});

test("what is not ours stays, however old: other names, directories, links and what they lead to, other users' files", () => {
  const names = [
    "notes.txt",
    "code",
    "code-1-AA",
    "code-x-aa",
    "xcode-1-aa",
    "code-1-aa.tmp",
    ".code-1-aa",
    "cluster-1-",
  ];
  for (const name of names) file(name, 400);
  mkdirSync(join(directory, "code-1-dd"));
  const target = file("target", 400);
  symlinkSync(target, join(directory, "code-1-ee"));
  if (process.getuid?.() === 0) chownSync(file("code-1-ff", 400), 4711, 4711);
  const before = readdirSync(directory);
  write();
  pruneWhereWritten(Date.now() + 365 * daySeconds * 1000 - daySeconds);
  expect(readdirSync(directory).filter((name) => name !== "code-1-aa")).toEqual(before);
});

test("a read is noted, also where the system does not; at most once an hour, and the time of writing stays", () => {
  const path = file("code-1-bb", 31);
  const { mtimeMs } = statSync(path);
  readCached(path);
  expect(statSync(path).mtimeMs).toBe(mtimeMs);
  write();
  pruneWhereWritten();
  expect(existsSync(path)).toBe(true);
});

test("a thread that forgoes the cache has none", () => {
  // The last test: it is for good.
  expect(cacheDirectory()).toBeDefined();
  forgoCache();
  expect(cacheDirectory()).toBeUndefined();
});
