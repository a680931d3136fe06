/** What a call counts against `max_stack_depth`; test/faults/stack-depth.test.ts shows what that is good for. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { pgliteFile } from "../../../src/cluster/pglite-files.ts";
import { reserveStack, reserveStackIn } from "../../../src/sessions/rewrite/stack-depth.ts";
import { WasmModule } from "../../../src/sessions/wasm/module.ts";
import { webAssembly } from "../../../src/sessions/wasm/web-assembly.ts";
import { smallModule } from "./small-module.ts";

const stock = readFileSync(pgliteFile("pglite.wasm"));

test("the functions of PostgreSQL that check their stack are found, those of regular expressions among them", () => {
  const module = new WasmModule(stock);
  const before = module.bodies.length;
  const count = reserveStackIn(module);
  // 128 call check_stack_depth, 3 stack_is_too_deep, 16 the pointer to it that a regular expression has.
  expect(count).toBe(147);
  expect(module.bodies.length).toBe(before + count);
});

test("the module is valid, and no export has moved", () => {
  const edited = reserveStack(stock);
  expect(webAssembly.validate(edited)).toBe(true);
  expect([...new WasmModule(edited).exports]).toEqual([...new WasmModule(stock).exports]);
});

test("a module that checks nowhere is returned as it is", () => {
  const small = smallModule();
  expect(reserveStack(small)).toBe(small);
});
