/**
 * Images against a model that keeps a copy of everything: random writes, moves of the stack pointer and of the heap's end,
 * sessions that begin as copies and end. The machine is a stand-in: bytes and marks without PostgreSQL.
 */
import { expect, test } from "vitest";
import { Image } from "../../../../src/engine/thread/sessions/image.ts";
import type { Machine } from "../../../../src/engine/thread/sessions/machine.ts";
import { PagePool, pageBytes } from "../../../../src/engine/thread/sessions/page-pool.ts";
import { WrittenPages } from "../../../../src/engine/thread/sessions/written-pages.ts";
import { Random, runSeed } from "../../../support/random.ts";

const page = (count: number) => count * pageBytes;
const map = {
  ...{ dataStart: page(4), dataEnd: page(20) },
  ...{ sharedStart: page(50), sharedEnd: page(54), controlStart: page(58), controlEnd: page(60) },
};
/** Not at a page's start, as in PGlite. */
const heapBase = page(36) + 816;
const [breakAt, alwaysAt] = [page(5), page(6) + 4000];
const [lowestBreak, highestBreak] = [page(62), page(90)];

interface Model {
  readonly stack: number;
  readonly parts: readonly (readonly [number, Buffer])[];
}

class World {
  readonly random: Random;
  readonly bytes = new Uint8Array(page(100));
  readonly words = new Uint32Array(this.bytes.buffer);
  readonly written = new WrittenPages();
  readonly pool = new PagePool();
  stack = heapBase;
  readonly machine: Machine;

  constructor(seed: number) {
    this.random = new Random(seed);
    const functions: Record<string, (value: number) => number | undefined> = {
      emscripten_stack_get_current: () => this.stack,
      emscripten_get_sbrk_ptr: () => breakAt,
      _emscripten_stack_restore: (value) => {
        this.stack = value;
      },
    };
    const { bytes, words, written } = this;
    const machine = { bytes, words, written, address: () => heapBase, function: (name: string) => functions[name]! };
    this.machine = machine as unknown as Machine;
    this.end = page(70);
    this.written.addUnknown();
  }

  get end(): number {
    return this.words[breakAt >> 2]!;
  }

  set end(end: number) {
    this.words[breakAt >> 2] = end;
    this.written.add(breakAt, 4);
  }

  /** Writes as PostgreSQL's code does: with marks on what it writes, or on the granules before. */
  write(start: number, end: number, isMarked = true): void {
    for (let at = start; at < end; at++) if (at >> 2 !== breakAt >> 2) this.bytes[at] = this.random.below(4);
    if (!isMarked || end <= start) return;
    for (let granule = start >> 8; granule <= (end - 1) >> 8; granule++) {
      this.written.add((granule - this.random.below(2)) << 8, 1);
    }
  }

  /** What the loaded session must find again. */
  model(): Model {
    const end = Math.ceil(this.end / pageBytes) * pageBytes;
    const ranges = [
      [map.dataStart, map.dataEnd],
      [this.stack, map.sharedStart],
      [map.sharedEnd, map.controlStart],
      [map.controlEnd, end],
    ] as const;
    return {
      stack: this.stack,
      parts: ranges.map(([start, end]) => [start, Buffer.from(this.bytes.slice(start, end))]),
    };
  }

  expect({ stack, parts }: Model): void {
    expect(this.stack).toBe(stack);
    for (const [start, bytes] of parts) {
      const now = Buffer.from(this.bytes.slice(start, start + bytes.length));
      expect(now.equals(bytes), `the memory from ${start} on`).toBe(true);
    }
  }
}

interface Session {
  readonly image: Image;
  model: Model | undefined;
  isEnded: boolean;
}

/** Sessions on a machine, the first of which is loaded at the start. */
class Play {
  readonly #world: World;
  readonly #postmaster: Image;
  readonly #start: Model;
  readonly #sessions: Session[] = [];
  #loaded: Session;
  #reference: Image | undefined;

  constructor(world: World) {
    this.#world = world;
    this.#postmaster = new Image(world.pool);
    this.#postmaster.save(world.machine, map);
    this.#start = world.model();
    world.written.always = [alwaysAt];
    this.#loaded = { image: new Image(world.pool), model: undefined, isEnded: false };
    this.#sessions.push(this.#loaded);
  }

  step(): void {
    const { random, written, stack, end } = this.#world;
    const length = 1 + random.below(600);
    const kind = random.below(12);
    if (kind === 0 && this.#sessions.length < 12) this.#begin();
    if (kind === 1) this.#end();
    if (kind === 2) this.#world.end = within(lowestBreak, highestBreak, end + (random.below(9) - 4) * 1500);
    if (kind === 3) this.#world.stack = within(page(21), heapBase, stack + (random.below(9) - 4) * 2000);
    if (kind === 4) {
      written.addUnknown();
      this.#world.write(page(7), page(7) + length, false);
    }
    if (kind === 5) this.#world.write(stack, Math.min(heapBase, stack + length), false);
    if (kind === 6) this.#takeReference();
    if (kind === 7 || kind === 8) this.#load(random.of(this.#sessions));
    if (kind > 8) this.#write(length);
  }

  /** All of them end, and what was kept for others is given up. */
  finish(): void {
    const { machine } = this.#world;
    this.#begin();
    this.#load(this.#sessions.at(-1)!);
    for (const session of this.#sessions) {
      if (session.isEnded) continue;
      this.#load(session);
      this.#discard();
    }
    const last = this.#postmaster.copy();
    this.#loaded.image.save(machine, map, this.#reference);
    last.load(machine, this.#loaded.image);
    for (const image of [last, this.#postmaster, ...(this.#reference ? [this.#reference] : [])]) {
      image.discard();
      image.save(machine, map);
      image.load(machine, image);
    }
  }

  #begin(): void {
    this.#sessions.push({ image: this.#postmaster.copy(), model: this.#start, isEnded: false });
  }

  #load(session: Session): void {
    if (session === this.#loaded) return;
    const { machine, random, bytes } = this.#world;
    expect(this.#loaded.image.overlooked(machine)).toEqual([]);
    this.#loaded.model = this.#world.model();
    this.#loaded.image.save(machine, map, this.#reference);
    // Another thread writes to it, at any time.
    if (random.oneIn(4)) bytes[alwaysAt] = random.below(4);
    session.image.load(machine, this.#loaded.image);
    this.#loaded = session;
    if (!session.isEnded) this.#world.expect(session.model!);
    if (random.oneIn(4)) bytes[alwaysAt] = random.below(4);
  }

  #end(): void {
    if (this.#sessions.filter(({ isEnded }) => !isEnded).length < 3 || this.#loaded.isEnded) return;
    this.#discard();
    this.#load(this.#world.random.of(this.#sessions.filter((session) => session !== this.#loaded)));
  }

  #discard(): void {
    this.#loaded.image.discard();
    this.#loaded.isEnded = true;
  }

  #takeReference(): void {
    if (this.#reference || this.#loaded.isEnded || !this.#loaded.model) return;
    this.#loaded.image.save(this.#world.machine, map);
    this.#reference = this.#loaded.image.copy();
  }

  /** In static data, in the heap and the shared memory behind it, or in the heap's other part. */
  #write(length: number): void {
    const { random, end } = this.#world;
    const [low, high] = random.of([
      [map.dataStart, map.dataEnd],
      [page(37), map.sharedEnd],
      [map.controlEnd, end],
    ] as const);
    const at = low + random.below(high - low);
    this.#world.write(at, Math.min(high, at + length));
  }
}

function within(low: number, high: number, value: number): number {
  return Math.min(high, Math.max(low, value));
}

function play(seed: number): void {
  const world = new World(seed);
  const sessions = new Play(world);
  for (let count = 0; count < 300; count++) sessions.step();
  sessions.finish();
  const blockPages = 1024;
  expect(new Set(Array.from({ length: blockPages }, () => world.pool.take())).size).toBe(blockPages);
  expect(world.pool.size).toBe(blockPages * pageBytes);
}

test(`what is loaded is what was saved, and nothing is kept of what has ended (seed ${runSeed})`, () => {
  const random = new Random(runSeed);
  for (let count = 0; count < 40; count++) {
    const seed = random.below(1 << 30);
    try {
      play(seed);
    } catch (error) {
      throw new Error(`play ${count}, of seed ${seed}`, { cause: error });
    }
  }
});
