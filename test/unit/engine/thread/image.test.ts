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

function play(seed: number): void {
  const world = new World(seed);
  const { machine, random, written, pool } = world;
  const postmaster = new Image(pool);
  postmaster.save(machine, map);
  const start = world.model();
  written.always = [alwaysAt];
  const sessions: Session[] = [{ image: new Image(pool), model: undefined, isEnded: false }];
  let loaded = sessions[0]!;
  let reference: Image | undefined;

  const begin = () => sessions.push({ image: postmaster.copy(), model: start, isEnded: false });
  const load = (session: Session) => {
    if (session === loaded) return;
    expect(loaded.image.overlooked(machine)).toEqual([]);
    loaded.model = world.model();
    loaded.image.save(machine, map, reference);
    // Another thread writes to it, at any time.
    if (random.oneIn(4)) world.bytes[alwaysAt] = random.below(4);
    session.image.load(machine, loaded.image);
    loaded = session;
    if (!session.isEnded) world.expect(session.model!);
    if (random.oneIn(4)) world.bytes[alwaysAt] = random.below(4);
  };
  const end = () => {
    loaded.image.discard();
    loaded.isEnded = true;
    load(random.of(sessions.filter((session) => session !== loaded)));
  };
  const takeReference = () => {
    loaded.image.save(machine, map);
    reference = loaded.image.copy();
  };
  const step = () => {
    const length = 1 + random.below(600);
    switch (random.below(12)) {
      case 0:
        if (sessions.length < 12) begin();
        return;
      case 1:
        if (sessions.filter(({ isEnded }) => !isEnded).length > 2 && !loaded.isEnded) end();
        return;
      case 2:
        world.end = Math.min(highestBreak, Math.max(lowestBreak, world.end + (random.below(9) - 4) * 1500));
        return;
      case 3:
        world.stack = Math.min(heapBase, Math.max(page(21), world.stack + (random.below(9) - 4) * 2000));
        return;
      case 4:
        written.addUnknown();
        return world.write(page(7), page(7) + length, false);
      case 5:
        return world.write(world.stack, Math.min(heapBase, world.stack + length), false);
      case 6:
        if (!reference && !loaded.isEnded && loaded.model) takeReference();
        return;
      case 7:
      case 8:
        return load(random.of(sessions));
      default: {
        const [low, high] = random.of([
          [map.dataStart, map.dataEnd],
          [page(37), map.sharedEnd],
          [map.controlEnd, world.end],
        ] as const);
        const at = low + random.below(high - low);
        world.write(at, Math.min(high, at + length));
      }
    }
  };
  for (let count = 0; count < 300; count++) step();

  // All of them end: then nothing is kept but the postmaster's image and the reference.
  begin();
  load(sessions.at(-1)!);
  for (const session of sessions) {
    if (session.isEnded) continue;
    load(session);
    session.image.discard();
    session.isEnded = true;
  }
  const last = postmaster.copy();
  loaded.image.save(machine, map, reference);
  last.load(machine, loaded.image);
  for (const image of [last, postmaster, ...(reference ? [reference] : [])]) {
    image.discard();
    image.save(machine, map);
    image.load(machine, image);
  }
  const blockPages = 1024;
  expect(new Set(Array.from({ length: blockPages }, () => pool.take())).size).toBe(blockPages);
  expect(pool.size).toBe(blockPages * pageBytes);
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
