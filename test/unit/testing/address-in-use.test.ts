import { expect, test } from "vitest";
import { isAddressInUse } from "../../../src/testing/address-in-use.ts";

const inUse = () => Object.assign(new Error("listen EADDRINUSE"), { code: "EADDRINUSE" });

test.each([
  ["the error itself", inUse()],
  ["its cause", new Error("boot failed", { cause: inUse() })],
  ["the cause of its cause", new Error("boot failed", { cause: new Error("no server", { cause: inUse() }) })],
  ["one part of several", new AggregateError([new Error("other"), inUse()])],
  ["a part of the cause", new Error("boot failed", { cause: new AggregateError([inUse()]) })],
  ["an object that is no Error", { code: "EADDRINUSE" }],
])("EADDRINUSE is found as %s", (_where, error) => {
  expect(isAddressInUse(error)).toBe(true);
});

const ownCause: Error & { cause?: unknown } = new Error("circle");
ownCause.cause = ownCause;

test.each([
  ["another code", Object.assign(new Error("EADDRINUSE in the text only"), { code: "EACCES" })],
  ["a cause of another kind", new Error("boot failed", { cause: "EADDRINUSE" })],
  ["parts of another kind", new AggregateError([new Error("other"), null])],
  ["an error that is its own cause", ownCause],
  ["null", null],
  ["a string", "EADDRINUSE"],
])("EADDRINUSE is not found in %s", (_where, error) => {
  expect(isAddressInUse(error)).toBe(false);
});
