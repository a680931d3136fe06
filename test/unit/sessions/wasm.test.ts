/** Taking small WebAssembly modules apart and putting them together again. */
import { expect, test } from "vitest";
import { ByteReader, concat, signed, unsigned } from "../../../src/sessions/wasm/bytes.ts";
import { instructions, Op } from "../../../src/sessions/wasm/instructions.ts";
import { WasmModule } from "../../../src/sessions/wasm/module.ts";
import { joinSections, splitSections } from "../../../src/sessions/wasm/sections.ts";
import { type WasmInstance, webAssembly } from "../../../src/sessions/wasm/web-assembly.ts";
import { smallModule } from "./small-module.ts";

test("LEB128 numbers are read as they were written", () => {
  for (const value of [0, 1, 63, 64, 127, 128, 8191, 8192, 0x7fff_ffff, 0xffff_ffff]) {
    expect(new ByteReader(concat([unsigned(value)])).unsigned()).toBe(value);
  }
  for (const value of [0, 1, -1, 63, 64, -64, -65, 8191, -8192, 0x7fff_ffff, -0x8000_0000]) {
    expect(new ByteReader(concat([signed(value)])).signed()).toBe(value);
  }
});

test("a reader does not pass the end", () => {
  expect(() => new ByteReader(new Uint8Array([0x80])).unsigned()).toThrow("ends at 1");
});

test("a module that is split and joined is the same module", () => {
  const module = smallModule();
  expect(joinSections(splitSections(module))).toEqual(module);
});

test("what is no WebAssembly is refused", () => {
  expect(() => splitSections(new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]))).toThrow("not a WebAssembly module");
});

test("imports, exports, bodies and constant data are found", () => {
  const module = new WasmModule(smallModule());
  expect(module.imports.map(({ field }) => field)).toEqual(["log", "memory"]);
  expect(module.importedFunction("log")).toBe(0);
  expect(module.exportedFunction("answer")).toBe(1);
  expect(module.exportedAddress("greeting")).toBe(16);
  expect(Buffer.from(module.constantMemory(32)).toString("latin1", 16, 21)).toBe("hello");
  const body = module.body(1);
  expect([...instructions(body, 0, body.length)].map(({ op, operand }) => [op, operand])).toEqual([
    [Op.i32Const, 42],
    [Op.end, 0],
  ]);
  expect(() => module.importedFunction("missing")).toThrow("does not import the function missing");
  expect(() => module.exportedFunction("greeting")).toThrow("does not export greeting");
});

test("an unknown instruction is refused instead of being read askew", () => {
  expect(() => [...instructions(new Uint8Array([0, 0xfd, 0]), 0, 3)]).toThrow("unknown WebAssembly instruction 0xfd");
});

test("edits leave a module that works: shared memory, imported table, a new export, another body", async () => {
  const module = new WasmModule(smallModule());
  module.shareMemory();
  expect(module.importTable("env", "table")).toBe(1);
  module.addFunctionExport("second_name", 1);
  module.replaceBody(1, concat([[0, Op.i32Const, 7, Op.end]]));
  const bytes = module.toBytes();
  expect(webAssembly.validate(bytes)).toBe(true);
  const memory = new webAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  const table = new webAssembly.Table({ element: "anyfunc", initial: 3 });
  const imports = { env: { log: () => 0, memory, table } };
  const { exports } = (await webAssembly.instantiate(await webAssembly.compile(bytes), imports)) as WasmInstance;
  expect((exports.second_name as () => number)()).toBe(7);
  expect((table.get(0) as () => number)()).toBe(7);
});
