/** What is added to PostgreSQL's error about a function of the server's own. */
import { expect, test } from "vitest";
import { explained } from "../../../src/transport/calls/explain.ts";
import { encodeFrame, Type } from "../../../src/wire/frames.ts";

const fields = ["SERROR", "VERROR", "C42883", "Mfunction pglite_devdb.nothing() does not exist"];
/** `ü` in LATIN1, which is no UTF-8. */
const name = Buffer.from("W\u00fc\0", "latin1");
const error = (...more: string[]) =>
  encodeFrame(
    Type.ErrorResponse,
    ...[...fields, ...more].map((field) => Buffer.from(`${field}\0`)),
    name,
    Uint8Array.of(0),
  );

test("the hint takes the place of PostgreSQL's, and every other field keeps its bytes", () => {
  const message = error("HNo function matches the given name and argument types.");
  const told = Buffer.from(explained(Type.ErrorResponse, message)!);
  expect(told.readInt32BE(1)).toBe(told.length - 1);
  const parts = told.subarray(5).toString("latin1").split("\0");
  expect(parts.filter((part) => part.startsWith("H"))).toEqual([expect.stringContaining("See docs/clock.md")]);
  expect(parts.filter((part) => !part.startsWith("H"))).toEqual([...fields, "W\u00fc", "", ""]);
});

test("another error stays itself", () => {
  const other = encodeFrame(
    Type.ErrorResponse,
    Buffer.from("C42883\0Mfunction nothing() does not exist\0"),
    Uint8Array.of(0),
  );
  expect(explained(Type.ErrorResponse, other)).toBeUndefined();
});
