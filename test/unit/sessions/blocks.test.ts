import { expect, test } from "vitest";
import { Blocks } from "../../../src/sessions/blocks.ts";
import { webAssembly } from "../../../src/sessions/wasm/web-assembly.ts";

test("a block that the memory has no room for is not handed out, and smaller ones still are", () => {
  const memory = new webAssembly.Memory({ initial: 1, maximum: 2 });
  const blocks = new Blocks(memory, 0);
  const first = blocks.take(1 << 16);
  expect(() => blocks.take(1 << 17)).toThrow(RangeError);
  expect(blocks.used).toBe(1 << 16);
  const second = blocks.take(1 << 16);
  expect([first.at, second.at]).toEqual([0, 1 << 16]);
  blocks.release(first);
  expect(blocks.take(1 << 16)).toEqual(first);
});
