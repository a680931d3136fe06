import { expect, test } from "vitest";
import { FrameCutter } from "../../../../src/engine/thread/frame-cutter.ts";
import { encodeMessage, encodeQuery } from "../../../../src/wire/frontend.ts";

const frames = [encodeQuery("select 1"), encodeMessage("S"), encodeMessage("d", Buffer.alloc(300, 1))];

test.each([1, 2, 3, 4, 5, 6, 7, 100, 1000])("frames are told apart in pieces of %d bytes", (size) => {
  const stream = Buffer.concat(frames);
  const cutter = new FrameCutter();
  const found: Buffer[] = [];
  let parts: Uint8Array[] = [];
  for (let at = 0; at < stream.length; ) {
    if (cutter.left === 0) cutter.begin();
    const part = cutter.take(stream.subarray(at, at + size));
    expect(part.length).toBeGreaterThan(0);
    parts.push(Buffer.from(part));
    at += part.length;
    if (cutter.left === 0) {
      found.push(Buffer.concat(parts));
      parts = [];
    }
  }
  expect(found).toEqual(frames);
});

test("what has no type passes until it is ended", () => {
  const cutter = new FrameCutter();
  cutter.beginUntyped();
  const packet = Buffer.from([0, 0, 0, 8, 0, 3, 0, 0]);
  expect(cutter.take(packet)).toEqual(packet);
  expect(cutter.left).toBeGreaterThan(0);
  cutter.endUntyped();
  expect(cutter.left).toBe(0);
});
