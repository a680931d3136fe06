/**
 * Images against a model that keeps a copy of everything: random writes, moves of the stack pointer, sessions that begin as
 * forks and end, and contents' numbers that run out. The machine is a stand-in: memory and marks without PostgreSQL.
 */
import { expect, test } from "vitest";
import { granuleBytes } from "../../../src/sessions/granule-code.ts";
import { Granules } from "../../../src/sessions/granules.ts";
import { Image, Template } from "../../../src/sessions/image.ts";
import type { Machine } from "../../../src/sessions/machine.ts";
import { webAssembly } from "../../../src/sessions/wasm/web-assembly.ts";
import { WriteMarks } from "../../../src/sessions/write-marks.ts";
import { Random, runSeed } from "../../support/random.ts";

const page = (count: number) => count * 4096;
const map = {
  ...{ dataEnd: page(20), stackEnd: page(37), heapEnd: page(90) },
  ...{ sharedStart: page(50), sharedEnd: page(54), controlStart: page(58), controlEnd: page(60) },
};
/** Not at a page's start, as in PGlite. */
const heapBase = page(36) + 816;
const alwaysAt = page(6) + 4000;
/** The largest number of a content. */
const lastNumber = 0xffff_ffff;

interface Model {
  readonly stack: number;
  readonly parts: readonly (readonly [number, Buffer])[];
}

class World {
  readonly random: Random;
  readonly memory = new webAssembly.Memory({ initial: 8, maximum: 32_768, shared: true });
  readonly bytes = new Uint8Array(this.memory.buffer);
  readonly written = new WriteMarks();
  stack = heapBase;
  readonly machine: Machine;
  readonly granules: Granules;
  readonly template: Template;

  constructor(seed: number) {
    this.random = new Random(seed);
    const functions: Record<string, (value: number) => number | undefined> = {
      emscripten_stack_get_current: () => this.stack,
      _emscripten_stack_restore: (value) => {
        this.stack = value;
      },
    };
    const { bytes, memory, written } = this;
    const machine = { bytes, memory, written, address: () => heapBase, function: (name: string) => functions[name]! };
    this.machine = machine as unknown as Machine;
    for (let at = 0; at < bytes.length; at += 61) bytes[at] = this.random.below(4);
    this.stack = heapBase - this.random.below(5000);
    this.granules = new Granules(this.machine, map, [alwaysAt], this.random.oneIn(2) ? lastNumber - 20 : 0);
    this.template = new Template(this.machine, this.granules);
  }

  /** Writes as PostgreSQL's code does: with marks on what it writes, or on the granules before. */
  write(start: number, end: number, isMarked = true): void {
    for (let at = start; at < end; at++) this.bytes[at] = this.random.below(4);
    if (!isMarked || end <= start) return;
    for (let granule = start >> 8; granule <= (end - 1) >> 8; granule++) {
      this.written.add(Math.max(0, granule - this.random.below(2)) << 8, 1);
    }
  }

  /** What the loaded session must find again. */
  model(): Model {
    const ranges = [
      [0, map.dataEnd],
      [this.stack, map.sharedStart],
      [map.sharedEnd, map.controlStart],
      [map.controlEnd, map.heapEnd],
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
  model: Model;
  isEnded: boolean;
}

/** Sessions on a machine, the first of which is loaded at the start. */
class Play {
  readonly #world: World;
  readonly #start: Model;
  readonly #sessions: Session[] = [];
  #loaded: Session;

  constructor(world: World) {
    this.#world = world;
    this.#start = world.model();
    this.#loaded = this.#begin();
  }

  step(): void {
    const { random, written, stack } = this.#world;
    const length = 1 + random.below(random.oneIn(4) ? 12_000 : 600);
    const kind = random.below(12);
    if (kind === 0 && this.#sessions.length < 12) this.#begin();
    if (kind === 1) this.#end();
    if (kind === 2) this.#sees();
    if (kind === 3) this.#world.stack = within(page(21), heapBase, stack + (random.below(9) - 4) * 2000);
    if (kind === 4) {
      written.addUnknown();
      this.#world.write(page(7), page(7) + length, false);
    }
    if (kind === 5) this.#world.write(stack, Math.min(map.stackEnd, stack + length), false);
    if (kind > 5 && kind < 9) this.#load(random.of(this.#sessions));
    if (kind > 8) this.#write(length);
  }

  /** All of them end. */
  finish(): void {
    const last = this.#begin();
    for (const session of [...this.#sessions, last]) {
      this.#load(session);
      if (!session.isEnded) this.#discard();
    }
    this.#loaded.image.save(this.#world.machine);
  }

  #begin(): Session {
    const session = { image: new Image(this.#world.template), model: this.#start, isEnded: false };
    this.#sessions.push(session);
    return session;
  }

  #load(session: Session): void {
    if (session === this.#loaded) return;
    const { machine, random, bytes } = this.#world;
    expect(this.#loaded.image.overlooked()).toEqual([]);
    this.#loaded.model = this.#world.model();
    this.#loaded.image.save(machine);
    // Another thread writes to it, at any time.
    if (random.oneIn(4)) bytes[alwaysAt] = random.below(4);
    session.image.load(machine);
    this.#loaded = session;
    if (session.isEnded) return;
    expect(session.image.overlooked()).toEqual([]);
    this.#world.expect(session.model);
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

  /** A write without a mark is seen by the tests' check. */
  #sees(): void {
    const { bytes, written, random } = this.#world;
    const at = random.below(map.dataEnd);
    if (written.isUnknown || written.covers(at) || this.#loaded.isEnded) return;
    bytes[at]! ^= 8;
    expect(this.#loaded.image.overlooked()).toEqual([at - (at % granuleBytes)]);
    bytes[at]! ^= 8;
  }

  /** In static data, in the heap and the shared memory behind it, or in the heap's other parts. */
  #write(length: number): void {
    const { random } = this.#world;
    const [low, high] = random.of([
      [0, map.dataEnd],
      [map.stackEnd, map.sharedEnd],
      [map.sharedEnd, map.controlEnd],
      [map.controlEnd, map.heapEnd],
    ] as const);
    const at = low + random.below(high - low);
    this.#world.write(at, Math.min(high, at + length));
  }
}

function within(low: number, high: number, value: number): number {
  return Math.min(high, Math.max(low, value));
}

/** Answers how many granules have become hot. */
function play(seed: number): number {
  const world = new World(seed);
  const sessions = new Play(world);
  for (let count = 0; count < 300; count++) sessions.step();
  sessions.finish();
  expect(world.granules.blocks.used, "bytes that are kept of nobody").toBe(0);
  return world.granules.hot;
}

test(`what is loaded is what was saved, and nothing is kept of what has ended (seed ${runSeed})`, () => {
  const random = new Random(runSeed);
  const hot: number[] = [];
  for (let count = 0; count < 40; count++) {
    const seed = random.below(1 << 30);
    try {
      hot.push(play(seed));
    } catch (error) {
      throw new Error(`play ${count}, of seed ${seed}`, { cause: error });
    }
  }
  expect(Math.max(...hot), "more hot granules than a slot has room for at first").toBeGreaterThan(256);
});
