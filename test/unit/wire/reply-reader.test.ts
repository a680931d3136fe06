/** Reading the engine's output while it passes: the same result however it comes. */
import { describe, expect, test } from "vitest";
import { encodeMessage } from "../../../src/wire/frontend.ts";
import { ReplyReader, type ReplyVisitor, type Verdict } from "../../../src/wire/reply-reader.ts";
import { Random, runSeed } from "../../support/random.ts";

const row = encodeMessage("D", Buffer.from("row row row"));
const data = encodeMessage("d", Buffer.from("data"));
const complete = encodeMessage("C", "SELECT 1");
const parseComplete = encodeMessage("1");
const error = encodeMessage("E", "SERROR", "Mwrong", "");
const ready = encodeMessage("Z", "I");
const notice = encodeMessage("N", "SNOTICE", "");

/** Drops ParseComplete, inspects errors and CommandComplete, and puts something else in place of errors. */
class Visitor implements ReplyVisitor {
  readonly inspected: string[] = [];
  readonly asked = new Set<string>();
  instead: Uint8Array | undefined = encodeMessage("E", "instead");

  verdict(type: number): Verdict {
    const letter = String.fromCharCode(type);
    this.asked.add(letter);
    if (letter === "1") return "drop";
    return letter === "E" || letter === "C" ? "inspect" : "forward";
  }

  inspect(type: number, message: Uint8Array): Uint8Array | undefined {
    this.inspected.push(Buffer.from(message).toString("hex"));
    return String.fromCharCode(type) === "E" ? this.instead : undefined;
  }
}

interface Result {
  forwarded: string;
  inspected: string[];
  calls: number;
}

function read(chunks: readonly Uint8Array[], visitor = new Visitor()): Result {
  const forwarded: Buffer[] = [];
  const reader = new ReplyReader(visitor, (bytes) => forwarded.push(Buffer.from(bytes)));
  for (const chunk of chunks) reader.feed(chunk);
  const { inspected } = visitor;
  return { forwarded: Buffer.concat(forwarded).toString("hex"), inspected, calls: forwarded.length };
}

const stream = Buffer.concat([row, parseComplete, row, data, complete, error, notice, parseComplete, ready, row]);
const expected = {
  forwarded: Buffer.concat([row, row, data, complete, encodeMessage("E", "instead"), notice, ready, row]).toString(
    "hex",
  ),
  inspected: [complete.toString("hex"), error.toString("hex")],
};

describe("a stream is read", () => {
  test("the same wherever it is cut, once or twice", () => {
    for (let first = 0; first <= stream.length; first++) {
      for (let second = first; second <= stream.length; second++) {
        const { forwarded, inspected } = read([
          stream.subarray(0, first),
          stream.subarray(first, second),
          stream.subarray(second),
        ]);
        const same = forwarded === expected.forwarded && inspected.join() === expected.inspected.join();
        if (!same) expect({ forwarded, inspected }, `cut at ${first} and ${second}`).toEqual(expected);
      }
    }
  });

  test("the same byte by byte", () => {
    expect(read([...stream].map((byte) => Buffer.of(byte)))).toMatchObject(expected);
  });

  test(`the same in random pieces (SEED=${runSeed})`, () => {
    const random = new Random(runSeed);
    for (let round = 0; round < 200; round++) {
      const messages = Array.from({ length: 20 }, () => random.of([row, parseComplete, data, complete, error, ready]));
      const whole = read([Buffer.concat(messages)]);
      const pieces = random.pieces(Buffer.concat(messages), random.of([2, 10, 60]));
      expect(read(pieces)).toMatchObject({ forwarded: whole.forwarded, inspected: whole.inspected });
    }
  });

  test("without holding on to the memory of a piece", () => {
    for (const kind of [(bytes: Buffer) => Buffer.from(bytes), (bytes: Buffer) => new Uint8Array(bytes)]) {
      for (let at = 1; at < stream.length; at++) {
        const visitor = new Visitor();
        const forwarded: Buffer[] = [];
        const reader = new ReplyReader(visitor, (bytes) => forwarded.push(Buffer.from(bytes)));
        for (const piece of [kind(stream.subarray(0, at)), kind(stream.subarray(at))]) {
          reader.feed(piece);
          // An engine uses its memory again.
          piece.fill(0xee);
        }
        const same = Buffer.concat(forwarded).toString("hex") === expected.forwarded;
        if (!same) expect.fail(`${kind} cut at ${at}: ${Buffer.concat(forwarded).toString("latin1")}`);
        expect(visitor.inspected).toEqual(expected.inspected);
      }
    }
  });
});

describe("a verdict", () => {
  test("is not asked for rows and data", () => {
    const visitor = new Visitor();
    read([stream], visitor);
    expect([...visitor.asked].sort().join("")).toBe("1CENZ");
  });

  test("forward passes a message on before it is complete", () => {
    const long = encodeMessage("D", Buffer.alloc(1000, 1));
    expect(read([long.subarray(0, 500)]).forwarded).toBe(long.subarray(0, 500).toString("hex"));
  });

  test("drop takes a long message away in pieces", () => {
    const dropped = encodeMessage("1", Buffer.alloc(1000, 1));
    const chunks = [row, dropped.subarray(0, 3), dropped.subarray(3, 500), Buffer.concat([dropped.subarray(500), row])];
    expect(read(chunks).forwarded).toBe(Buffer.concat([row, row]).toString("hex"));
  });

  test("inspect hands a message over whole, header included, and can leave it alone or replace it by nothing", () => {
    const visitor = new Visitor();
    visitor.instead = undefined;
    expect(read([error, ready], visitor)).toMatchObject({
      forwarded: Buffer.concat([error, ready]).toString("hex"),
      inspected: [error.toString("hex")],
    });
    visitor.instead = new Uint8Array(0);
    expect(read([error, ready], visitor).forwarded).toBe(ready.toString("hex"));
  });
});

test("neighbours that pass go on in one piece", () => {
  expect(read([Buffer.concat([row, data, notice, ready])]).calls).toBe(1);
  expect(read([Buffer.concat([row, complete, ready])]).calls).toBe(1);
});

test("nothing in, nothing out", () => {
  expect(read([new Uint8Array(0)])).toEqual({ forwarded: "", inspected: [], calls: 0 });
});
