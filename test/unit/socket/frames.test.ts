/**
 * Cutting a client's stream into frames.
 *
 * Mirrors SocketBackend() in src/backend/tcop/postgres.c: which types there are, and how long each may be.
 */
import { afterEach, describe, expect, test, vi } from "vitest";
import { Type } from "../../../src/wire/frames.ts";
import { encodeMessage } from "../../../src/wire/frontend.ts";
import { Random, runSeed } from "../../support/random.ts";
import { FrameReader } from "../../support/socket-library.ts";
import { message } from "../../support/wire-client.ts";

const limit = 1 << 20;

/** One of each kind, none of them short for no reason. */
const kinds: Readonly<Record<string, Buffer>> = {
  Query: message.query("select 1"),
  Parse: message.parse("s", "select $1"),
  Bind: message.bind("p", "s", ["x", null]),
  Describe: message.describe("S", "s"),
  Execute: message.execute("p", 5),
  Close: message.close("P", "p"),
  Flush: message.flush(),
  Sync: message.sync(),
  CopyData: message.copyData("1\n"),
  CopyDone: message.copyDone(),
  CopyFail: message.copyFail("no"),
  FunctionCall: encodeMessage("F", Buffer.alloc(10)),
};
const everything = Object.values(kinds);

/** What a reader makes of some chunks: the frames, the violation, and whether a Terminate was read. */
function readAll(chunks: readonly Uint8Array[], maxMessageBytes = limit) {
  const reader = new FrameReader(maxMessageBytes);
  const frames: string[] = [];
  let read = 0;
  let framed = 0;
  for (const chunk of chunks) {
    read += chunk.length;
    const { batch, violation, terminated } = reader.read(Buffer.from(chunk));
    for (const { type, bytes } of batch?.frames ?? []) {
      if (bytes[0] !== type) throw new Error(`type ${type} of a frame that begins with ${bytes[0]}`);
      framed += bytes.length;
      frames.push(Buffer.from(bytes).toString("hex"));
    }
    if (batch) {
      const joined = Buffer.concat(batch.frames.map(({ bytes }) => bytes));
      if (joined.length === 0 || !joined.equals(batch.bytes)) throw new Error("a batch is not its frames");
    }
    if (violation !== undefined || terminated) return { frames, violation, terminated };
    if (reader.midMessage !== read > framed) throw new Error(`midMessage is ${reader.midMessage}`);
  }
  return { frames, violation: undefined, terminated: false };
}

const hex = (messages: readonly Buffer[]): string[] => messages.map((one) => one.toString("hex"));
const header = (type: string, length: number): Buffer => {
  const bytes = Buffer.alloc(5);
  bytes.write(type, "latin1");
  bytes.writeInt32BE(length, 1);
  return bytes;
};

afterEach(() => {
  vi.restoreAllMocks();
});

describe("frames", () => {
  test("come out the same wherever the stream is cut, once or twice", () => {
    const stream = Buffer.concat(everything);
    const whole = hex(everything).join();
    for (let first = 0; first <= stream.length; first++) {
      for (let second = first; second <= stream.length; second++) {
        const chunks = [stream.subarray(0, first), stream.subarray(first, second), stream.subarray(second)];
        const { frames } = readAll(chunks.filter(({ length }) => length > 0));
        if (frames.join() !== whole) expect(frames, `cut at ${first} and ${second}`).toEqual(hex(everything));
      }
    }
  });

  test("come out of a stream of single bytes", () => {
    const stream = Buffer.concat(everything);
    expect(readAll([...stream].map((byte) => Buffer.of(byte))).frames).toEqual(hex(everything));
  });

  test("of every two messages come out of one chunk, and wherever that is cut", () => {
    for (const first of everything) {
      for (const second of everything) {
        const both = Buffer.concat([first, second]);
        for (let at = 1; at <= both.length; at++) {
          const chunks = [both.subarray(0, at), both.subarray(at)].filter(({ length }) => length > 0);
          const { frames } = readAll(chunks);
          if (frames.join() !== hex([first, second]).join()) expect(frames).toEqual(hex([first, second]));
        }
      }
    }
  });

  test(`come out of random pieces (SEED=${runSeed})`, () => {
    const random = new Random(runSeed);
    for (let round = 0; round < 300; round++) {
      const messages = Array.from({ length: 1 + random.below(12) }, () =>
        random.oneIn(4) ? message.copyData(Buffer.alloc(random.below(3000), 0x58)) : random.of(everything),
      );
      const pieces = random.pieces(Buffer.concat(messages), random.of([3, 50, 2000]));
      expect(readAll(pieces).frames).toEqual(hex(messages));
    }
  });

  test("of one chunk are one batch, in order, with nothing of an incomplete one", () => {
    const reader = new FrameReader(limit);
    const { batch } = reader.read(Buffer.concat([kinds.Parse!, kinds.Sync!, kinds.Query!.subarray(0, 7)]));
    expect(batch?.frames.map(({ type }) => type)).toEqual([Type.Parse, Type.Sync]);
    expect(batch?.bytes.length).toBe(kinds.Parse!.length + kinds.Sync!.length);
    expect(reader.midMessage).toBe(true);
    const rest = reader.read(kinds.Query!.subarray(7));
    expect(rest.batch?.frames.map(({ type }) => type)).toEqual([Type.Query]);
    expect(reader.midMessage).toBe(false);
  });

  test("that are still incomplete are no batch", () => {
    const reader = new FrameReader(limit);
    expect(reader.read(Buffer.alloc(0))).toEqual({ terminated: false });
    expect(reader.midMessage).toBe(false);
    expect(reader.read(kinds.Query!.subarray(0, 1))).toEqual({ terminated: false });
    expect(reader.midMessage).toBe(true);
  });
});

describe("a length", () => {
  const small = ["C", "D", "E", "H", "S", "X", "c", "f"];
  const large = ["Q", "P", "B", "F", "d"];

  test.each([0, 1, 2, 3, -1, -(2 ** 31)])("of %d is a violation of every type, told by its header", (length) => {
    for (const type of [...small, ...large]) {
      const bytes = Buffer.concat([kinds.Sync!, header(type, length)]);
      for (let at = 1; at <= bytes.length; at++) {
        const result = readAll([bytes.subarray(0, at), bytes.subarray(at)].filter((chunk) => chunk.length > 0));
        expect(result.violation, type).toContain(`invalid message length ${length} for message type "${type}"`);
        // What came before it still counts.
        expect(result.frames).toEqual(hex([kinds.Sync!]));
        expect(result.terminated).toBe(false);
      }
    }
  });

  test("is limited by maxMessageBytes for the types that carry SQL and data", () => {
    for (const type of large) {
      expect(readAll([header(type, 2000)], 2000).violation, type).toBeUndefined();
      expect(readAll([header(type, 2001)], 2000).violation, type).toContain("4 to 2000 are accepted");
      expect(readAll([header(type, 2 ** 31 - 1)], 2000).violation, type).toBeDefined();
    }
    const longest = message.copyData(Buffer.alloc(1996));
    expect(readAll([longest], 2000).frames).toEqual(hex([longest]));
  });

  test("is limited to 10000 for all others, as in PostgreSQL", () => {
    for (const type of small) {
      expect(readAll([header(type, 10_000)]).violation, type).toBeUndefined();
      expect(readAll([header(type, 10_001)]).violation, type).toContain("4 to 10000 are accepted");
    }
  });

  test("that is only declared allocates nothing", () => {
    const before = process.memoryUsage().arrayBuffers;
    const readers = Array.from({ length: 50 }, () => {
      const reader = new FrameReader(2 ** 30 - 1);
      expect(reader.read(header("Q", 2 ** 30 - 1)).violation).toBeUndefined();
      reader.read(Buffer.from("select"));
      return reader;
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
    expect(readers.every((reader) => reader.midMessage)).toBe(true);
  });

  test("of many small pieces is joined once, not with every piece", () => {
    const bytes = message.copyData(Buffer.alloc(200_000, 1));
    const joins = vi.spyOn(Buffer, "concat");
    const reader = new FrameReader(limit);
    let frames = 0;
    for (let at = 0; at < bytes.length; at += 100) {
      frames += reader.read(bytes.subarray(at, at + 100)).batch?.frames.length ?? 0;
    }
    expect(frames).toBe(1);
    expect(joins.mock.calls.length).toBeLessThan(5);
  });
});

describe("a type", () => {
  test("is one of SocketBackend's, or a violation that its first byte tells", () => {
    const known = "QFXBPCDEHSdcf";
    for (let type = 0; type < 256; type++) {
      const { violation } = readAll([Buffer.of(type)]);
      if (known.includes(String.fromCharCode(type))) expect(violation).toBeUndefined();
      else expect(violation).toBe(`invalid frontend message type ${type}`);
    }
  });

  test("that is unknown is found behind good messages, wherever the stream is cut", () => {
    const bytes = Buffer.concat([kinds.Parse!, kinds.Sync!, Buffer.from("GET / HTTP/1.1")]);
    for (let at = 1; at < bytes.length; at++) {
      const result = readAll([bytes.subarray(0, at), bytes.subarray(at)]);
      expect(result.violation).toBe("invalid frontend message type 71");
      expect(result.frames).toEqual(hex([kinds.Parse!, kinds.Sync!]));
    }
  });
});

describe("Terminate", () => {
  test("ends the stream: what came before it counts, nothing after it", () => {
    const bytes = Buffer.concat([kinds.Query!, message.terminate(), kinds.Query!, Buffer.from("garbage")]);
    for (let at = 1; at < bytes.length; at++) {
      const result = readAll([bytes.subarray(0, at), bytes.subarray(at)]);
      expect(result).toMatchObject({ frames: hex([kinds.Query!]), terminated: true, violation: undefined });
    }
  });

  test("counts when it is complete, and leaves nothing half read", () => {
    const reader = new FrameReader(limit);
    expect(reader.read(message.terminate().subarray(0, 4)).terminated).toBe(false);
    expect(reader.midMessage).toBe(true);
    expect(reader.read(message.terminate().subarray(4)).terminated).toBe(true);
    expect(reader.midMessage).toBe(false);
  });
});
