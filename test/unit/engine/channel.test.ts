/**
 * The two ends of a channel, here both on one thread: order, sizes, the end of the ring, and space.
 */
import { expect, test } from "vitest";
import { allocateChannel, EngineChannel, MainChannel, RecordKind } from "../../../src/engine/channel.ts";
import { Random, runSeed } from "../../support/random.ts";

function ends(): { main: MainChannel; engine: EngineChannel; posts: () => number } {
  const memory = allocateChannel();
  let posted = 0;
  return {
    main: new MainChannel(memory),
    engine: new EngineChannel(memory, () => posted++),
    posts: () => posted,
  };
}

test("records come out as they went in, whatever their sizes, many times around the ring", () => {
  const { main, engine } = ends();
  const random = new Random(runSeed);
  for (let i = 1; i <= 3000; i++) {
    const bytes = new Uint8Array(random.below(100_000)).fill(i);
    let written = 0;
    let read = 0;
    do {
      const taken = main.send(RecordKind.input, i, bytes, written);
      if (taken > 0) written += taken;
      if (taken < 0 || written === bytes.length) {
        while (read < written || (bytes.length === 0 && read === 0)) {
          const record = engine.next();
          expect([record.kind, record.run]).toEqual([RecordKind.input, i]);
          expect(record.payload.every((byte) => byte === i % 256)).toBe(true);
          read += record.payload.length;
          engine.take(record);
          if (bytes.length === 0) break;
        }
      }
    } while (written < bytes.length);
    expect(read).toBe(bytes.length);
  }
});

test("a full ring takes nothing until something was read, and loses nothing", () => {
  const { main, engine } = ends();
  const piece = new Uint8Array(60_000).fill(7);
  let sent = 0;
  for (let taken = 0; taken >= 0; sent += Math.max(0, taken)) taken = main.send(RecordKind.input, 1, piece);
  expect(main.send(RecordKind.endOfInput, 1)).toBe(-1);
  let read = 0;
  while (read < sent) {
    const record = engine.next();
    read += record.payload.length;
    engine.take(record);
  }
  expect(read).toBe(sent);
  expect(main.send(RecordKind.endOfInput, 1)).toBe(0);
  expect(engine.next().kind).toBe(RecordKind.endOfInput);
});

test("a main thread that went to its event loop is called once, and only then", () => {
  const { main, engine, posts } = ends();
  engine.send(RecordKind.output, 1, Buffer.from("seen"));
  expect(main.settle(false)).toBe(true);
  expect(posts()).toBe(0);
  main.take(main.peek()!);
  expect(main.settle(false)).toBe(false);
  engine.send(RecordKind.output, 1, Buffer.from("one"));
  engine.send(RecordKind.output, 1, Buffer.from("two"));
  expect(posts()).toBe(1);
  expect(main.hasUnseenOutput).toBe(true);
});

test("what guards the interrupt flags is given back, also when somebody else has died with it", () => {
  const { main, engine } = ends();
  engine.setRunning(5, () => {});
  let seen = 0;
  const look = () => {
    seen = main.running;
  };
  expect(main.guarded(look)).toBe(true);
  expect(seen).toBe(5);
  engine.setRunning(0, () => expect(main.guarded(() => {})).toBe(false));
  expect(main.guarded(() => {})).toBe(true);
});
