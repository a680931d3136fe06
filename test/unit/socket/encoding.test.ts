/** The messages that the library itself makes, byte by byte as the manual has them ("Message Formats"). */
import { expect, test } from "vitest";
import { encode, errorResponse, loginAnswer } from "../../support/socket-library.ts";

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

test("a message is its type, its length without the type, and its parts", () => {
  expect(latin1(encode("C", "a", Uint8Array.of(7)))).toBe("C\0\0\0\x07a\0\x07");
  expect(latin1(encode("S"))).toBe("S\0\0\0\x04");
  expect(latin1(encode("P", "ü"))).toBe("P\0\0\0\x07\xc3\xbc\0");
});

test("integers are big-endian and signed, and a startup packet is a message without a type", () => {
  for (const value of [0, 1, -1, -2, 2 ** 31 - 1, -(2 ** 31), 0x01020304]) {
    expect(encode("", value).readInt32BE(4)).toBe(value);
  }
  expect(latin1(encode("", 3 << 16, "user", "a", ""))).toBe("\0\0\0\x10\0\x03\0\0user\0a\0\0");
});

test("an ErrorResponse has severity, code and message, and detail and hint where there are some", () => {
  const plain = errorResponse({ severity: "FATAL", code: "08P01", message: "what" });
  expect(latin1(plain)).toBe("E\0\0\0\x20SFATAL\0VFATAL\0C08P01\0Mwhat\0\0");
  const whole = errorResponse({ severity: "ERROR", code: "0A000", message: "m", detail: "d", hint: "h" });
  expect(latin1(whole)).toBe("E\0\0\0\x23SERROR\0VERROR\0C0A000\0Mm\0Dd\0Hh\0\0");
});

test("a login is answered with AuthenticationOk, the settings, the key and ReadyForQuery", () => {
  const answer = loginAnswer(new Map([["a", "b"]]), 258, Uint8Array.of(1, 2, 3, 4));
  expect(latin1(answer)).toBe(
    "R\0\0\0\x08\0\0\0\0S\0\0\0\x08a\0b\0K\0\0\0\x0c\0\0\x01\x02\x01\x02\x03\x04Z\0\0\0\x05I",
  );
});
