/** Windows against a model: random requests of sessions that come and go, on a memory without PostgreSQL. */
import { expect, test } from "vitest";
import { refused, unitBytes, Window, Windows } from "../../../src/sessions/windows.ts";
import { Random, runSeed } from "../../support/random.ts";

const megabyte = 1 << 20;
const start = 3 * megabyte + 4096;

/** Addresses only; what has been written to is remembered by unit. */
class World {
  programBreak = start;
  size = 4 * megabyte;
  readonly dirty = new Set<number>();
  readonly windows: Windows;

  constructor(limit: number) {
    this.windows = new Windows(this, start, limit);
  }

  ensure(bytes: number): boolean {
    this.size = Math.max(this.size, bytes);
    return true;
  }

  clear(from: number, length: number): void {
    for (let at = from; at < from + length; at += unitBytes) this.dirty.delete(Math.floor(at / unitBytes));
  }
}

/** A session: as libc's `sbrk` and malloc would, it keeps its break and writes to all it gets. */
class Process {
  readonly window = new Window();
  readonly #world: World;
  #break = start;
  /** What it has got: address and length. */
  readonly got: { at: number; bytes: number }[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  /** Whether it got so many bytes. */
  take(bytes: number): boolean {
    this.#world.programBreak = this.#break;
    const increment = this.#world.windows.sbrk(this.window, bytes);
    if (increment === refused) return false;
    expect(increment).toBe(bytes);
    const at = this.#world.programBreak;
    this.#break = at + ((bytes + 7) & -8);
    expect(this.#world.size, "the memory has what was handed out").toBeGreaterThanOrEqual(this.#break);
    this.got.push({ at, bytes });
    const { dirty } = this.#world;
    for (let unit = Math.floor(at / unitBytes); unit < this.#break / unitBytes; unit++) {
      if (unit * unitBytes >= at && dirty.has(unit)) throw new Error("what is handed out is not clear");
      dirty.add(unit);
    }
    return true;
  }

  close(): void {
    this.#world.programBreak = this.#break;
    this.#world.windows.close(this.window);
  }
}

function expectApart(processes: readonly Process[]): void {
  const all = processes.flatMap(({ got }) => got).sort((one, other) => one.at - other.at);
  for (const [index, { at, bytes }] of all.entries()) {
    const next = all[index + 1];
    if (next && at + bytes > next.at) throw new Error("what one has is somebody else's, too");
  }
}

test(`what is handed out belongs to one session, is clear, and comes back (seed ${runSeed})`, () => {
  const random = new Random(runSeed);
  for (let round = 0; round < 20; round++) {
    const world = new World(400 * megabyte);
    const all = world.windows.available;
    let processes: Process[] = [];
    for (let count = 0; count < 300; count++) {
      if (processes.length < 20 && random.oneIn(4)) processes.push(new Process(world));
      if (processes.length === 0) continue;
      const process = random.of(processes);
      const bytes = random.oneIn(10) ? random.below(20 * megabyte) : 1 + random.below(4 * unitBytes);
      process.take(bytes);
      if (random.oneIn(12)) {
        process.close();
        processes = processes.filter((other) => other !== process);
      }
      expectApart(processes);
    }
    for (const process of processes) process.close();
    expect(world.windows.available).toBe(all);
    expect(world.dirty.size).toBe(0);
    const last = new Process(world);
    expect(last.take(200 * megabyte), "what came back is in one piece").toBe(true);
  }
});

test("a session that takes much is refused before nothing is left for others", () => {
  const world = new World(500 * megabyte);
  const large = new Process(world);
  while (large.take(megabyte));
  expect(large.window.size).toBeGreaterThan(200 * megabyte);
  const others = Array.from({ length: 60 }, () => new Process(world));
  for (const other of others) expect([other.take(unitBytes), other.take(2 * megabyte)]).toEqual([true, true]);
  expect(large.take(megabyte)).toBe(false);
  large.close();
  expect(others[0]!.take(20 * megabyte)).toBe(true);
});

test("more than all addresses is refused, and so is anything after the end", () => {
  const world = new World(500 * megabyte);
  const process = new Process(world);
  expect(process.take(unitBytes)).toBe(true);
  for (const bytes of [-1, -8, -65_536, 0x7fff_ffff, 600 * megabyte]) expect(process.take(bytes)).toBe(false);
  expect(world.windows.sbrk(process.window, 0)).toBe(0);
  expect(process.take(unitBytes)).toBe(true);
  process.close();
  expect(process.take(unitBytes)).toBe(false);
});

test("a window grows where it ends while nobody else is there", () => {
  const world = new World(500 * megabyte);
  const process = new Process(world);
  for (let count = 0; count < 100; count++) expect(process.take(unitBytes)).toBe(true);
  expect(process.window.extents.length).toBe(1);
  const other = new Process(world);
  other.take(unitBytes);
  while (process.window.extents.length === 1) expect(process.take(unitBytes)).toBe(true);
  expect(process.take(unitBytes)).toBe(true);
});
