/** The collector of COPY data: exact bytes in memory and in a file, a limit, and nothing left behind. */
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CopyData } from "../../../src/transport/shared/copy-data.ts";
import { copyInResponse } from "../../../src/transport/shared/copy-in.ts";
import { memoryInUse } from "../../support/memory.ts";
import { Random, runSeed } from "../../support/random.ts";
import { message } from "../../support/wire-client.ts";

const mebibyte = 1024 * 1024;
const head = message.query("copy t from stdin");
const tail = message.copyDone();
const noLimit = 2 ** 40;

const pattern = Buffer.from(Array.from({ length: 9973 }, (_, i) => (i * i + (i >> 3)) & 255));

let directory: string;
let data: CopyData;
const systemDirectory = process.env.TMPDIR;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "copy-data-test-"));
  process.env.TMPDIR = directory;
  data = new CopyData(noLimit);
});

afterEach(() => {
  data.discard();
  if (systemDirectory === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = systemDirectory;
  rmSync(directory, { recursive: true });
});

/** Files of this process that have no name any more. */
function unlinkedFiles(): string[] {
  const open = readdirSync("/proc/self/fd").flatMap((name) => {
    try {
      return [readlinkSync(`/proc/self/fd/${name}`)];
    } catch {
      return [];
    }
  });
  return open.filter((path) => path.startsWith(directory));
}

/** A frame of `length` bytes; its pattern begins at random and has no short period. */
function randomFrame(random: Random, length: number): Buffer {
  return message.copyData(Buffer.alloc(length, pattern.subarray(random.below(pattern.length - 1))));
}

/** Adds frames of about `total` bytes and returns what the whole message must be. */
function fill(random: Random, total: number, longestFrame: number): Buffer {
  const frames: Buffer[] = [head];
  for (let bytes = 0; bytes < total; ) {
    const frame = randomFrame(random, random.below(longestFrame));
    expect(data.add(frame)).toBe(true);
    frames.push(frame);
    bytes += frame.length;
  }
  return Buffer.concat([...frames, tail]);
}

/** The three things that PGlite uses of a message. */
function readLikeTheEngine(whole: Uint8Array, window: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < whole.length; ) {
    const part = whole.subarray(at, Math.min(whole.length, at + window));
    // Copied at once, as the engine does: the next read may use the same memory.
    parts.push(Buffer.from(part));
    at += part.length;
  }
  return Buffer.concat(parts);
}

const sizes: [name: string, bytes: number, longestFrame: number][] = [
  ["nothing", 0, 1],
  ["a little", 5000, 900],
  ["just under the limit of memory", 7 * mebibyte, 300_000],
  ["a file", 9 * mebibyte, 300_000],
  ["a file of several spills", 17 * mebibyte, 3 * mebibyte],
];

describe.each(sizes)("%s", (_, bytes, longestFrame) => {
  test(`comes out as it went in, read in windows of any size (SEED=${runSeed})`, () => {
    const expected = fill(new Random(runSeed), bytes, longestFrame);
    const whole = data.message(head, tail);
    expect(whole.length).toBe(expected.length);
    expect(whole[0]).toBe(head[0]);
    const windows = bytes < mebibyte ? [1, 7, 8192] : [8192, 65_537, mebibyte, 3 * mebibyte + 1];
    for (const window of windows) expect(readLikeTheEngine(whole, window).equals(expected), `${window}`).toBe(true);
  });

  test(`comes out as it went in, read here and there (SEED=${runSeed})`, () => {
    const random = new Random(runSeed);
    const expected = fill(random, bytes, longestFrame);
    const whole = data.message(head, tail);
    const edges = [0, 1, head.length - 1, head.length, expected.length - tail.length, expected.length - 1];
    for (let round = 0; round < 300; round++) {
      const start = random.oneIn(3) ? random.of(edges) : random.below(expected.length);
      const length = Math.min(expected.length - start, random.below(random.of([2, 1000, 2 * mebibyte])));
      const part = whole.subarray(start, start + length);
      expect(Buffer.from(part).equals(expected.subarray(start, start + length)), `${start} + ${length}`).toBe(true);
    }
  });
});

describe("what is kept", () => {
  test("is a copy: the caller's memory may be used again", () => {
    for (const kind of [(bytes: Buffer) => Buffer.from(bytes), (bytes: Buffer) => new Uint8Array(bytes)]) {
      const mine = new CopyData(noLimit);
      const frame = kind(message.copyData("one"));
      mine.add(frame);
      frame.fill(0);
      expect(Buffer.from(mine.message(head, tail)).includes("one")).toBe(true);
    }
  });

  test("costs no more than a few times its bytes, however small the messages are", () => {
    const frame = message.copyData("\n");
    const before = memoryInUse();
    const count = Math.floor((7.5 * mebibyte) / frame.length);
    for (let added = 0; added < count; added++) data.add(frame);
    expect((memoryInUse() - before) / mebibyte).toBeLessThan(3 * 7.5);
  });

  test("is nothing any more above the limit, which is said", () => {
    const frame = message.copyData("12345");
    const mine = new CopyData(2 * frame.length + 3);
    expect([mine.add(frame), mine.add(Buffer.alloc(frame.length + 3)), mine.refusal]).toEqual([true, true, undefined]);
    expect(mine.add(Buffer.alloc(1))).toBe(false);
    expect(mine.refusal).toContain(`more than ${2 * frame.length + 3} bytes`);
    // The COPY fails: nothing that would fit is taken, and nothing that was there is run.
    expect(mine.add(Buffer.alloc(1))).toBe(false);
    expect(Buffer.from(mine.message(head, tail)).equals(Buffer.concat([head, tail]))).toBe(true);
  });

  test("counts against the limit in the file, too", () => {
    const mine = new CopyData(10 * mebibyte);
    const frame = Buffer.alloc(mebibyte);
    for (let i = 0; i < 10; i++) expect(mine.add(frame)).toBe(true);
    expect(mine.add(Buffer.alloc(1))).toBe(false);
    mine.discard();
  });
});

describe("the file", () => {
  test("has no name, and its directory is gone, as soon as it is open", () => {
    fill(new Random(1), 9 * mebibyte, 300_000);
    expect(unlinkedFiles()).toHaveLength(1);
    expect(readdirSync(directory)).toEqual([]);
  });

  test("is not opened for what fits into memory", () => {
    fill(new Random(1), mebibyte, 1000);
    data.message(head, tail);
    expect(unlinkedFiles()).toEqual([]);
  });

  test("is closed by discard, which may be called again", () => {
    fill(new Random(1), 9 * mebibyte, 300_000);
    data.message(head, tail);
    for (let i = 0; i < 3; i++) {
      data.discard();
      expect(unlinkedFiles()).toEqual([]);
    }
  });

  test("does not stand in the way of another one after a discard", () => {
    fill(new Random(1), 9 * mebibyte, 300_000);
    data.discard();
    const expected = fill(new Random(2), 9 * mebibyte, 300_000);
    expect(readLikeTheEngine(data.message(head, tail), mebibyte).equals(expected)).toBe(true);
  });

  test("that cannot be made refuses the data, and nothing stays open", () => {
    process.env.TMPDIR = join(directory, "missing");
    const frame = Buffer.alloc(mebibyte);
    expect(Array.from({ length: 9 }, () => data.add(frame)).at(-1)).toBe(false);
    expect(data.refusal).toMatch(/could not keep the data: ENOENT/);
    mkdirSync(process.env.TMPDIR);
    data.discard();
    expect(unlinkedFiles()).toEqual([]);
  });
});

test("a CopyInResponse has a format for each column", () => {
  expect([...copyInResponse(2, 1)]).toEqual([0x47, 0, 0, 0, 11, 1, 0, 2, 0, 1, 0, 1]);
  expect([...copyInResponse(0, 0)]).toEqual([0x47, 0, 0, 0, 7, 0, 0, 0]);
});
