/** The generated trampolines: longjmp by WebAssembly exceptions, and functions that may park the stack. */
import { expect, test } from "vitest";
import {
  batchLoop,
  bridges,
  isTrampoline,
  mustWait,
  throwLongjmp,
  trampolines,
} from "../../../../src/sessions/module/trampolines.ts";
import { type Exports, type Imports, webAssembly } from "../../../../src/sessions/wasm/web-assembly.ts";

type Call = (...values: number[]) => number;

function instance(bytes: Uint8Array, host: Record<string, unknown>): Exports {
  return new webAssembly.Instance(new webAssembly.Module(bytes), { host } as Imports).exports;
}

/** A table with the three functions that trampolines need, written in WebAssembly, and a record of their calls. */
function tableWithRuntime() {
  const calls: string[] = [];
  const table = new webAssembly.Table({ element: "anyfunc", initial: 8 });
  const tag = new webAssembly.Tag({ parameters: [] });
  const note = (what: string) => (one: number, two: number) => {
    calls.push(`${what}(${one},${two})`);
    return 1000;
  };
  // Each is a function of the right type made by another generated module.
  const runtime = bridges({ run: 2 });
  const of = (what: string) => instance(runtime, { run: note(what), wait: () => 0 }).run;
  return { calls, table, tag, of };
}

test("only the names of trampolines are taken for trampolines", () => {
  for (const field of ["invoke_v", "invoke_iii", "invoke_jiid", throwLongjmp]) expect(isTrampoline(field)).toBe(true);
  for (const field of ["invoke_", "invoke_x", "exit", "invoke_iv"]) expect(isTrampoline(field)).toBe(false);
});

test("every signature gives a valid module", () => {
  const signatures = ["v", "i", "j", "d", "f", "vijfd", "jiiiiiiiii", "dii", "iiiiiiiiiiiiiiiiii"];
  const fields = [...signatures.map((signature) => `invoke_${signature}`), throwLongjmp];
  const bytes = trampolines(fields, { getStack: 6900, setStack: 6901, setThrew: 6902 });
  expect(webAssembly.validate(bytes)).toBe(true);
  expect(Object.keys(instance(bytes, tableWithRuntime()))).toEqual(fields);
});

test("a call passes its arguments and its result through, and an error of the callee stays what it was", () => {
  const { table, tag, of } = tableWithRuntime();
  const slots = { getStack: 0, setStack: 1, setThrew: 2 };
  const stack = instance(bridges({ get: 0 }), { get: () => 64, wait: () => 0 });
  table.set(0, stack.get);
  table.set(3, of("callee"));
  const boom = new Error("boom");
  const thrower = instance(bridges({ fail: 2 }), {
    fail: () => {
      throw boom;
    },
    wait: () => 0,
  });
  table.set(4, thrower.fail);
  const { invoke_iii } = instance(trampolines(["invoke_iii"], slots), { table, tag }) as { invoke_iii: Call };
  expect(invoke_iii(3, 5, 6)).toBe(1000);
  expect(() => invoke_iii(4, 5, 6)).toThrow(boom);
});

test("a longjmp restores the stack, sets the flag and answers 0, also when another module threw it", () => {
  const { table, tag } = tableWithRuntime();
  const slots = { getStack: 0, setStack: 1, setThrew: 2 };
  const seen: string[] = [];
  const runtime = instance(voidFunctions(), {
    set: (stack: number) => seen.push(`stack ${stack}`),
    threw: (value: number, size: number) => seen.push(`threw ${value} ${size}`),
  });
  table.set(0, instance(bridges({ get: 0 }), { get: () => 64, wait: () => 0 }).get);
  table.set(1, runtime.set);
  table.set(2, runtime.threw);
  table.set(3, instance(trampolines([throwLongjmp], slots), { table, tag })[throwLongjmp]);
  const { invoke_v } = instance(trampolines(["invoke_v"], slots), { table, tag }) as { invoke_v: Call };
  expect(invoke_v(3)).toBeUndefined();
  expect(seen).toEqual(["stack 64", "threw 1 0"]);
});

test("a bridged function answers at once, or parks the stack until the answer is there", async () => {
  let waiting: (value: number) => void = () => undefined;
  const exports = instance(bridges({ read: 2 }), {
    read: (one: number, two: number) => (one === 0 ? mustWait : one + two),
    wait: new webAssembly.Suspending!(() => new Promise((resolve) => (waiting = resolve))),
  }) as { read: Call };
  expect(exports.read(1, 2)).toBe(3);
  const parked = webAssembly.promising!(exports.read)(0, 0);
  await Promise.resolve();
  expect(exports.read(2, 2)).toBe(4);
  waiting(77);
  expect(await parked).toBe(77);
});

test("the batch loop runs steps while there is more, then finishes; its end alone does only that", () => {
  const seen: string[] = [];
  let left = 3;
  const note = (what: string) => () => void seen.push(what);
  const more = () => (--left > 0 ? 1 : 0);
  const loop = instance(batchLoop(), { step: note("step"), more, finish: note("finish") });
  (loop.run as Call)();
  expect(seen).toEqual(["step", "step", "step", "finish"]);
  seen.length = 0;
  (loop.end as Call)();
  expect(seen).toEqual(["finish"]);
});

/** A module that exports its imports `host.set` (i32) and `host.threw` (i32, i32), both without a result. */
function voidFunctions(): Uint8Array {
  const text = (value: string) => [value.length, ...Buffer.from(value)];
  const section = (id: number, body: number[]) => [id, body.length, ...body];
  const types = section(1, [2, 0x60, 1, 0x7f, 0, 0x60, 2, 0x7f, 0x7f, 0]);
  const imports = section(2, [2, ...text("host"), ...text("set"), 0, 0, ...text("host"), ...text("threw"), 0, 1]);
  const exports = section(7, [2, ...text("set"), 0, 0, ...text("threw"), 0, 1]);
  return new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...types, ...imports, ...exports]);
}
