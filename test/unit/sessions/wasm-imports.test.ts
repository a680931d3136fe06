/**
 * The rewrite of a module's memory import, on modules made by hand and on PGlite's own.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { shareMemoryImport } from "../../../src/sessions/wasm/imports.ts";

// TypeScript knows WebAssembly only with the browser's library.
const { validate, Module } = (
  globalThis as unknown as {
    WebAssembly: {
      validate(bytes: Uint8Array): boolean;
      Module: (new (
        bytes: Uint8Array,
      ) => object) & {
        imports(module: object): { module: string; name: string; kind: string }[];
      };
    };
  }
).WebAssembly;

const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const name = (text: string) => [text.length, ...Buffer.from(text)];

/** A module that imports these things of `e`. */
function importing(...imports: number[][]): Uint8Array {
  const body = [imports.length, ...imports.flat()];
  // A type section first: the type of an imported function.
  return Uint8Array.from([...header, 1, 4, 1, 0x60, 0, 0, 2, body.length, ...body]);
}
const aFunction = [...name("e"), ...name("f"), 0, 0];
const aTable = [...name("e"), ...name("t"), 1, 0x70, 0, 1];
const aGlobal = [...name("e"), ...name("g"), 3, 0x7f, 1];
const memory = (...limits: number[]) => [...name("e"), ...name("m"), 2, ...limits];

test.each([
  ["without a maximum", memory(0, 1), memory(3, 1, 0x80, 0x80, 4)],
  ["with a maximum", memory(1, 1, 0x80, 2), memory(3, 1, 0x80, 2)],
])("a memory %s becomes shared, behind imports of every other kind", (_, before, after) => {
  const others = [aFunction, aTable, aGlobal];
  const bytes = importing(...others, before);
  expect(validate(bytes)).toBe(true);
  const rewritten = shareMemoryImport(bytes);
  expect([...rewritten]).toEqual([...importing(...others, after)]);
  expect(validate(rewritten)).toBe(true);
});

test.each([
  ["that is shared already", importing(memory(3, 1, 2))],
  ["that does not exist", importing(aFunction)],
  ["in a module without imports", Uint8Array.from(header)],
])("a memory %s is left alone", (_, bytes) => {
  expect(shareMemoryImport(bytes)).toEqual(bytes);
});

test("PGlite's own module stays valid, with the same imports", () => {
  const path = createRequire(import.meta.url)
    .resolve("@electric-sql/pglite")
    .replace(/[^/\\]*$/, "pglite.wasm");
  const bytes = readFileSync(path);
  const rewritten = shareMemoryImport(bytes);
  expect(Buffer.from(rewritten).equals(bytes)).toBe(false);
  expect(Module.imports(new Module(rewritten))).toEqual(Module.imports(new Module(bytes)));
});
