/** Which files are taken for a snapshot of this start: only what was written whole, by this user, for just this. */
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { openMemoryFiles } from "../../../../src/cluster/memory-files.ts";
import { type BootedPostgres, bootPostgres, loadPostgres } from "../../../../src/sessions/boot.ts";
import type { RewrittenPostgres } from "../../../../src/sessions/module/module-cache.ts";
import { type BootSnapshot, takeSnapshot } from "../../../../src/sessions/snapshot/boot-snapshot.ts";
import { SnapshotCache } from "../../../../src/sessions/snapshot/snapshot-cache.ts";
import { writeSnapshot } from "../../../../src/sessions/snapshot/snapshot-file.ts";
import { forgoCache } from "../../../../src/system/user-cache.ts";
import { Random, runSeed } from "../../../support/random.ts";

const options = { maxSessions: 5, settings: {} };
const home = mkdtempSync(join(tmpdir(), "snapshot-cache-"));
let postgres: RewrittenPostgres;
let booted: BootedPostgres;
let taken: BootSnapshot;
/** A whole file. */
let whole = "";
/** The directory of the test, and its file. */
let directory = "";
let path = "";

beforeAll(async () => {
  postgres = await loadPostgres();
  const began = Date.now();
  booted = await bootPostgres({ dataDir: "memory://", files: await openMemoryFiles(), ...options, postgres });
  taken = takeSnapshot(booted, began, "/pglite/data");
  directory = join(home, "first");
  mkdirSync(directory);
  expect(writeSnapshot(pathOf(of()), keyOf(of()), taken)).toBe(true);
  whole = join(home, "whole");
  path = pathOf(of());
  renameSync(path, whole);
});
afterAll(() => rmSync(home, { recursive: true, force: true }));
beforeEach(() => {
  directory = mkdtempSync(join(home, "test-"));
  path = pathOf(of());
  copyFileSync(whole, path);
  chmodSync(path, 0o600);
  return () => rmSync(directory, { recursive: true, force: true });
});

const of = (changed: object = {}, of: object = {}) =>
  SnapshotCache.of({ ...postgres, ...changed }, { ...options, ...of }, directory)!;
const pathOf = (cache: SnapshotCache) => cache.path;
const keyOf = (cache: SnapshotCache) => cache.key;
const restored = async (cache = of()) => {
  const host = await cache.restore(postgres, options.maxSessions);
  await host?.close();
  return host !== undefined;
};

test("a whole file is used, as often as one likes", async () => {
  expect([await restored(), await restored()]).toEqual([true, true]);
  expect(readFileSync(path).equals(readFileSync(whole))).toBe(true);
});

test(`a file with any bit changed, or of any other length, is not (seed ${runSeed})`, async () => {
  const random = new Random(runSeed);
  const bytes = readFileSync(whole);
  const headEnd = 12 + bytes.readUInt32LE(4);
  const memoryEnd = headEnd + bytes.readUInt32LE(8);
  const places = [0, 4, 7, 8, 11, 12, headEnd - 1, headEnd, memoryEnd - 1, memoryEnd, bytes.length - 1];
  for (const [start, end] of [
    [12, headEnd],
    [headEnd, memoryEnd],
    [memoryEnd, bytes.length],
  ] as const) {
    for (let count = 0; count < 12; count++) places.push(start + random.below(end - start));
  }
  for (const place of places) {
    const mask = 1 << random.below(8);
    bytes[place]! ^= mask;
    writeFileSync(path, bytes);
    expect([place, mask, await restored()]).toEqual([place, mask, false]);
    bytes[place]! ^= mask;
  }
  writeFileSync(path, bytes);
  appendFileSync(path, "\0");
  expect(await restored()).toBe(false);
  const lengths = [bytes.length - 1, memoryEnd, headEnd, 12, 11, 4, 1, 0];
  for (let count = 0; count < 8; count++) lengths.push(random.below(bytes.length));
  for (const length of lengths.sort((a, b) => b - a)) {
    truncateSync(path, length);
    expect([length, await restored()]).toEqual([length, false]);
  }
});

test("nor is one of others, or that others may write to, nor what is no file", async () => {
  for (const mode of [0o620, 0o602, 0o666]) {
    chmodSync(path, mode);
    expect([mode, await restored()]).toEqual([mode, process.platform === "win32"]);
  }
  chmodSync(path, 0o600);
  if (process.getuid?.() === 0) {
    chownSync(path, 4711, 4711);
    expect(await restored()).toBe(false);
  }
  rmSync(path);
  expect(await restored()).toBe(false);
  if (process.platform !== "win32") {
    symlinkSync(whole, path);
    expect(await restored()).toBe(false);
    rmSync(path);
  }
  mkdirSync(path);
  expect(await restored()).toBe(false);
});

test("the key names the module", () => {
  expect(keyOf(of())).toMatch(/"module":"[0-9a-f]{64}"/);
});

describe("a start of another kind", () => {
  const kinds: Record<string, () => SnapshotCache> = {
    "another module": () => of({ hash: Buffer.alloc(32) }),
    "other sessions": () => of({}, { maxSessions: 6 }),
    "another setting": () => of({}, { settings: { work_mem: "5MB" } }),
    "other buffers": () => of({}, { sharedBuffers: "17MB" }),
    "another time zone": () => {
      vi.stubEnv("TZ", "Asia/Tokyo");
      return of();
    },
    "another language": () => {
      vi.stubEnv("LC_ALL", "de_DE.UTF-8");
      return of();
    },
  };
  test.for(Object.entries(kinds))("has a file of its own: %s", async ([, make]) => {
    const cache = make();
    vi.unstubAllEnvs();
    expect(pathOf(cache)).not.toBe(path);
    expect(await restored(cache)).toBe(false);
    // Also where it has the name of the other.
    copyFileSync(whole, pathOf(cache));
    chmodSync(pathOf(cache), 0o600);
    expect(await restored(cache)).toBe(false);
  });

  test("an unknown binary, which has to be tried out, has none, nor has a start without a cache", () => {
    expect(of({ known: false })).toBeUndefined();
    expect(of({ hash: undefined })).toBeUndefined();
    expect(SnapshotCache.of(postgres, options, "")).toBeUndefined();
  });
});

test("a file that is whole and comes to something else goes, and the start boots", async () => {
  const broken: Record<string, Partial<BootSnapshot["facts"]>> = {
    "a library's slots": {
      steps: taken.facts.steps.map((step, at) => (at === 3 ? { ...step, slots: step.slots + 1 } : step)),
    },
    "the address of a library's data": {
      steps: taken.facts.steps.map((step) =>
        step.kind === "open" && step.data.length > 0 ? { ...step, data: [] } : step,
      ),
    },
    "a stream": { ownStreams: taken.facts.ownStreams.map((stream) => ({ ...stream, path: "/pglite/data/nowhere" })) },
    "the granules": { granules: taken.facts.granules.slice(1) },
    "the stack": { map: { ...taken.facts.map, stackEnd: taken.facts.map.stackEnd - 4096 } },
  };
  for (const [what, facts] of Object.entries(broken)) {
    expect(writeSnapshot(path, keyOf(of()), { ...taken, facts: { ...taken.facts, ...facts } })).toBe(true);
    expect([what, await restored(), readdirSync(directory)]).toEqual([what, false, []]);
  }
});

test("what is to be made anew and is not found keeps it from being written", () => {
  rmSync(path);
  const { facts, memory } = taken;
  const write = (changed: Partial<BootSnapshot>) => () => writeSnapshot(path, keyOf(of()), { ...taken, ...changed });
  expect(write({ facts: { ...facts, began: facts.began + 3_600_000, ended: facts.ended + 3_600_000 } })).toThrow(
    "times",
  );
  expect(write({ memory: new Uint8Array(memory.length) })).toThrow("found");
  expect(write({ cluster: { ...taken.cluster, files: [] } })).toThrow("pg_control");
  expect(readdirSync(directory)).toEqual([]);
});

test("a thread that forgoes the cache has none", () => {
  expect(SnapshotCache.of(postgres, options)).toBeDefined();
  // The last test: it is for good.
  forgoCache();
  expect(SnapshotCache.of(postgres, options)).toBeUndefined();
});
