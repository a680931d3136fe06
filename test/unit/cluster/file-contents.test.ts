/** A file's contents in memory, compared with arrays, while copies of it share their chunks. */
import { expect, test } from "vitest";
import { FileContents } from "../../../src/cluster/file-contents.ts";
import { memoryBudget } from "../../../src/cluster/memory-budget.ts";
import { memoryInUse } from "../../support/memory.ts";
import { Random, runSeed } from "../../support/random.ts";

/** Some chunks. */
const longest = 5 * 2 ** 18 + 1000;

/** A file and what it must contain. */
interface Pair {
  readonly file: FileContents;
  model: Buffer;
}

function read(file: FileContents, position: number, length: number): Buffer {
  // As PostgreSQL's buffers are: with something in it.
  const target = Buffer.alloc(length + 2, 0xaa);
  const got = file.read(target, 1, length, position);
  expect([target[0], target[length + 1]]).toEqual([0xaa, 0xaa]);
  return target.subarray(1, 1 + got);
}

/** Not toEqual: it would print megabytes. */
function isEqual({ file, model }: Pair): boolean {
  return file.size === model.length && read(file, 0, longest).equals(model);
}

const partsOf = (bytes: Buffer) => (from: number, to: number) => new Uint8Array(bytes.subarray(from, to));

test.each([false, true])(
  `whatever is done to copies of copies, each contains what an array would; read in parts: %s (SEED=${runSeed})`,
  (inParts) => {
    const random = new Random(runSeed);
    const before = memoryBudget.takenBytes;
    const first = Buffer.alloc(300_000, "first");
    let reads = 0;
    const readAll = () => {
      reads++;
      return first;
    };
    const unread = FileContents.unread(400_000, { read: readAll, ...(inParts ? { readPart: partsOf(first) } : {}) });
    let pairs: Pair[] = [{ file: unread, model: Buffer.concat([first], 400_000) }];
    const steps: ((pair: Pair) => void)[] = [
      (pair) => {
        const [position, length] = [random.below(longest / 2), 1 + random.below(random.oneIn(3) ? 600_000 : 8192)];
        const bytes = Buffer.alloc(length, random.below(256));
        pair.file.write(Buffer.concat([Buffer.from("x"), bytes]), 1, length, position);
        const size = Math.max(pair.model.length, position + length);
        pair.model = Buffer.concat([pair.model], size);
        bytes.copy(pair.model, position);
      },
      (pair) => {
        const size = random.below(longest);
        pair.file.resize(size);
        pair.model = Buffer.concat([pair.model.subarray(0, size)], size);
      },
      (pair) => void (pairs.length < 6 && pairs.push({ file: pair.file.clone(), model: Buffer.from(pair.model) })),
      (pair) => {
        if (pairs.length === 1) return;
        pair.file.release();
        pairs = pairs.filter((other) => other !== pair);
      },
      (pair) => {
        const position = random.below(longest);
        expect(read(pair.file, position, 8192).equals(pair.model.subarray(position, position + 8192))).toBe(true);
      },
    ];
    for (let step = 0; step < 600; step++) {
      random.of(steps)(random.of(pairs));
      if (step % 10 === 0) expect([step, pairs.every(isEqual)]).toEqual([step, true]);
      const taken = pairs.reduce((sum, { file }) => sum + file.takenBytes, 0);
      expect([step, memoryBudget.takenBytes - before]).toEqual([step, expect.closeTo(taken, 3)]);
    }
    for (const { file } of pairs) file.release();
    expect(memoryBudget.takenBytes).toBe(before);
    expect(reads).toBeLessThanOrEqual(1);
  },
);

test("a copy takes no memory of its own, and a write into it that of one chunk", () => {
  const file = new FileContents();
  file.write(Buffer.alloc(2 ** 22, 1), 0, 2 ** 22, 0);
  expect(file.takenBytes).toBe(2 ** 22);
  const copy = file.clone();
  expect([file.takenBytes, copy.takenBytes]).toEqual([2 ** 21, 2 ** 21]);
  copy.write(Buffer.alloc(8192, 2), 0, 8192, 2 ** 20);
  expect(file.takenBytes + copy.takenBytes).toBe(2 ** 22 + 2 ** 18);
  copy.release();
  expect(file.takenBytes).toBe(2 ** 22);
});

test("what has not been read is read once for all copies, and not at all for those that are given up", () => {
  let reads = 0;
  const contents = () => {
    reads++;
    return Buffer.from("contents");
  };
  const one = FileContents.unread(8, { read: contents });
  const other = one.clone();
  expect([other.size, reads]).toEqual([8, 0]);
  expect(read(other, 0, 100).toString()).toBe("contents");
  expect(read(one, 3, 100).toString()).toBe("tents");
  expect(reads).toBe(1);
  const forgotten = FileContents.unread(8, { read: contents }).clone();
  forgotten.release();
  expect([forgotten.size, reads]).toEqual([0, 1]);
});

test("who has only written behind what can be read in parts has contents of his own", () => {
  const first = Buffer.alloc(2 ** 19, "first");
  const one = FileContents.unread(2 ** 19, { read: () => first, readPart: partsOf(first) });
  const other = one.clone();
  one.write(Buffer.from("written"), 0, 7, 2 ** 19);
  expect(one.unreadBy).toBeUndefined();
  expect(other.unreadBy).toBeDefined();
  expect(one.isSharedWith(other)).toBe(false);
});

test("a part that could not be read is read the next time", () => {
  const first = Buffer.alloc(2 ** 19, "first");
  let fails = true;
  const readPart = (from: number, to: number) => {
    if (fails) throw new Error("EIO");
    return partsOf(first)(from, to);
  };
  const file = FileContents.unread(2 ** 19, { read: () => first, readPart });
  expect(() => read(file, 0, 5)).toThrow("EIO");
  fails = false;
  expect(read(file, 0, 5).toString("latin1")).toBe("first");
});

test("of what can be read in parts, those are that somebody needs, once for all copies", () => {
  const first = Buffer.alloc(2 ** 22, "first");
  const parts: [number, number][] = [];
  const readPart = (from: number, to: number) => {
    parts.push([from, to]);
    return partsOf(first)(from, to);
  };
  const readAll = () => expect.unreachable("it is not read as a whole");
  const one = FileContents.unread(2 ** 23, { read: readAll, readPart });
  const other = one.clone();
  expect(one.unreadBy).toBe(readAll);
  one.write(Buffer.from("written"), 0, 7, 2 ** 20 + 5);
  other.write(Buffer.from("another"), 0, 7, 2 ** 20);
  expect(parts).toEqual([[2 ** 20, 2 ** 20 + 2 ** 18]]);
  expect([one.unreadBy, other.unreadBy]).toEqual([undefined, undefined]);
  expect(one.takenBytes + other.takenBytes).toBe(2 * 2 ** 18);
  const copy = one.clone();
  first.write("written", 2 ** 20 + 5);
  expect(read(copy, 2 ** 20 - 10, 30).toString("latin1")).toBe(first.toString("latin1", 2 ** 20 - 10, 2 ** 20 + 20));
  expect(parts).toHaveLength(2);
  copy.resize(2 ** 22 + 10);
  expect(parts).toHaveLength(32);
  expect(read(other, 2 ** 22 - 5, 10).toString("latin1")).toBe(`${first.toString("latin1", 2 ** 22 - 5)}\0\0\0\0\0`);
});

test.skipIf(!("transfer" in ArrayBuffer.prototype))("memory that nobody has any more is given back at once", () => {
  const file = new FileContents();
  for (let at = 0; at < 2 ** 26; at += 2 ** 20) file.write(Buffer.alloc(2 ** 20), 0, 2 ** 20, at);
  const copy = file.clone();
  const taken = () => process.memoryUsage().arrayBuffers;
  const shared = taken();
  file.release();
  const full = taken();
  expect(shared - full).toBeLessThan(2 ** 25);
  copy.release();
  expect(full - taken()).toBeGreaterThanOrEqual(2 ** 26);
});

test.each([0, 8192])("a copy of %i bytes that nobody has read is no more when it is given up", async (size) => {
  const contents = FileContents.unread(size, { read: () => new Uint8Array(size) });
  const copies = Array.from({ length: 10 }, () => {
    const copy = contents.clone();
    copy.release();
    return new WeakRef(copy);
  });
  // What was made in a turn of the event loop is kept until it is over.
  await new Promise((resolve) => setImmediate(resolve));
  memoryInUse();
  expect(copies.filter((copy) => copy.deref() !== undefined)).toHaveLength(0);
  expect(contents.size).toBe(size);
});
