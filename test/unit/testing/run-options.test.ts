import { beforeEach, expect, test } from "vitest";
import { optionsOf, rememberOptions } from "../../../src/testing/run-options.ts";

beforeEach(() => {
  delete (globalThis as Record<symbol, unknown>)[Symbol.for("pglite-devdb.run")];
});

test("a configuration that is read again says the same", () => {
  const options = () => ({ migrations: "./migrations", seed: () => Promise.resolve() });
  rememberOptions(options());
  const last = options();
  rememberOptions(last);
  expect(optionsOf()).toBe(last);
});

test("projects of one run that want different servers are told that there is one", () => {
  const first = rememberOptions({ migrations: "./a" });
  rememberOptions({ migrations: "./b" });
  expect(() => optionsOf()).toThrow('a run has one server: {"migrations":"./a"} and {"migrations":"./b"}');
  expect(optionsOf(first)).toEqual({ migrations: "./a" });
});
