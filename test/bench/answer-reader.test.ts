/**
 * The benchmark's reader of backend bytes: it must see the same answers however the stream is cut.
 */
import { expect, test } from "vitest";
import { type Answer, AnswerReader } from "../../scripts/bench/answer-reader.ts";

function frame(type: string, body: Uint8Array | string): Buffer {
  const bytes = Buffer.from(body);
  const head = Buffer.alloc(5);
  head.write(type, 0, 1, "latin1");
  head.writeInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

function dataRow(value: string): Buffer {
  const body = Buffer.alloc(6 + value.length);
  body.writeInt16BE(1, 0);
  body.writeInt32BE(value.length, 2);
  body.write(value, 6, "latin1");
  return frame("D", body);
}

const stream = Buffer.concat([
  frame("1", ""),
  frame("2", ""),
  dataRow("10000042"),
  frame("C", "SELECT 1\0"),
  frame("Z", "T"),
  frame("E", "SERROR\0C42601\0Mno such thing\0\0"),
  frame("Z", "E"),
  dataRow("x".repeat(40)),
  dataRow("y".repeat(300)),
  dataRow("z"),
  frame("C", "SELECT 3\0"),
  frame("Z", "I"),
]);
const expected: Answer[] = [
  { rows: 1, value: 10000042, error: undefined, status: "T" },
  { rows: 0, value: undefined, error: "42601 no such thing", status: "E" },
  { rows: 3, value: undefined, error: undefined, status: "I" },
];

function read(chunks: readonly Uint8Array[]): Answer[] {
  const answers: Answer[] = [];
  const reader = new AnswerReader((answer) => answers.push({ ...answer }));
  for (const chunk of chunks) {
    // One buffer that is overwritten, as a socket with a buffer of its own does it.
    const reused = Buffer.from(chunk);
    reader.push(reused);
    reused.fill(0xff);
  }
  return answers;
}

test("answers are the same for a stream cut in two at every byte", () => {
  for (let at = 0; at <= stream.length; at++) {
    expect(read([stream.subarray(0, at), stream.subarray(at)]), `cut at ${at}`).toEqual(expected);
  }
});

test("answers are the same for a stream in one-byte pieces", () => {
  expect(read(Array.from(stream, (byte) => Buffer.from([byte])))).toEqual(expected);
});

test("a server that asks for a password gives an answer that says so", () => {
  expect(read([frame("R", Buffer.from([0, 0, 0, 10]))])).toEqual([
    { rows: 0, value: undefined, error: "the server asks for authentication of type 10", status: "" },
  ]);
});
