/** V8's code of a module in a file: what it is read for, what is refused, and who replaces it. */
import { spawn, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { setFlagsFromString } from "node:v8";
import { crc32 } from "node:zlib";
import { beforeEach, describe, expect, test } from "vitest";
import { CodeCache } from "../../../../src/sessions/module/code-cache.ts";
import { codeEnvironment, readCode, writeCode } from "../../../../src/sessions/module/v8-code.ts";
import { type CompiledModule, webAssembly } from "../../../../src/sessions/wasm/web-assembly.ts";
import { smallModule } from "../small-module.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "code-cache-"));
  return () => rmSync(directory, { recursive: true, force: true });
});

/** No two are equal: V8 would share what it has made of one. */
function newBytes(): Uint8Array {
  const name = [4, ...Buffer.from("test")];
  const custom = [...name, ...randomBytes(16)];
  return Buffer.concat([smallModule(), Buffer.from([0, custom.length, ...custom])]);
}

const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();
const cacheOf = (bytes: Uint8Array) => CodeCache.of(directory, hashOf(bytes), bytes.length)!;
const path = () => join(directory, readdirSync(directory)[0]!);

interface Compiled {
  readonly bytes: Uint8Array;
  readonly module: CompiledModule;
  /** Its one function, which has not been optimized. */
  readonly answer: unknown;
}

async function compiled(bytes = newBytes()): Promise<Compiled> {
  const module = await webAssembly.compile(bytes);
  return { bytes, module, answer: answerOf(module) };
}

function answerOf(module: CompiledModule): unknown {
  const memory = new webAssembly.Memory({ initial: 1 });
  return new webAssembly.Instance(module, { env: { memory, log: () => 0 } }).exports.answer;
}

async function kept(): Promise<Compiled> {
  const one = await compiled();
  expect(cacheOf(one.bytes).keep(one.module, one.answer)).toBe(true);
  return one;
}

/** Only Node 24 can. */
const isKnown = codeEnvironment() !== undefined;

describe.runIf(isKnown)("a file of code", () => {
  test("is for its user only, and what is read from it runs", async () => {
    const { bytes } = await kept();
    expect(readdirSync(directory)).toEqual([expect.stringMatching(/^code-2-[0-9a-f]{32}$/)]);
    if (process.platform !== "win32") expect(statSync(path()).mode & 0o777).toBe(0o600);
    const cache = cacheOf(bytes);
    expect(cache.isUsed).toBe(false);
    const module = cache.read(bytes)!;
    expect(cache.isUsed).toBe(true);
    expect((answerOf(module) as () => number)()).toBe(42);
  });

  test("is another one for another module, for other flags of V8, without a trap handler, and none where V8 is not known", async () => {
    const { bytes } = await kept();
    expect(cacheOf(newBytes()).read(bytes)).toBeUndefined();
    const before = codeEnvironment();
    setFlagsFromString("--no-wasm-loop-unrolling");
    expect(codeEnvironment()).not.toBe(before);
    const other = cacheOf(bytes);
    setFlagsFromString("--wasm-loop-unrolling");
    expect(codeEnvironment()).toBe(before);
    expect(other.read(bytes)).toBeUndefined();
    for (const unknown of ["10.2.154", "12.4.254.21-node.57", "13.7.1", "14.6.202.34-node.34", "113.6.1", ""]) {
      expect(codeEnvironment(unknown)).toBeUndefined();
    }
    const url = new URL("../../../../src/sessions/module/v8-code.ts", import.meta.url);
    const code = `import { codeEnvironment } from ${JSON.stringify(url.href)}; console.log(codeEnvironment())`;
    const environments = [[], ["--disable-wasm-trap-handler"], ["--disallow-code-generation-from-strings"]].map(
      (flags) => {
        const all = ["--no-warnings", ...flags, "--input-type=module", "-e", code];
        const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: "utf8" });
        expect([status, stderr]).toEqual([0, ""]);
        return stdout;
      },
    );
    expect(environments).toEqual([
      expect.stringMatching(/ true\n$/),
      environments[0]!.replace(/true\n$/, "false\n"),
      "undefined\n",
    ]);
    expect(cacheOf(bytes).read(bytes)).toBeDefined();
  });

  test("is not kept when a flag has changed since it was asked for", async () => {
    const { bytes, module, answer } = await compiled();
    const cache = cacheOf(bytes);
    setFlagsFromString("--no-wasm-loop-unrolling");
    expect(cache.keep(module, answer)).toBe(false);
    setFlagsFromString("--wasm-loop-unrolling");
    expect(readdirSync(directory)).toEqual([]);
    expect(cache.keep(module, answer)).toBe(true);
  });

  test("leaves V8's natives as they were", async () => {
    const natives = () => new Function("return %IsWasmTrapHandlerEnabled() // natives");
    const { bytes } = await kept();
    expect(cacheOf(bytes).read(bytes)).toBeDefined();
    expect(natives).toThrow(SyntaxError);
    setFlagsFromString("--allow-natives-syntax");
    cacheOf(bytes).read(bytes);
    expect(natives).not.toThrow();
    setFlagsFromString("--no-allow-natives-syntax");
  });

  test("is due when there is none, or it comes of half the work; a poorer one does not replace it", async () => {
    const { bytes, module, answer } = await compiled();
    expect(cacheOf(bytes).isDue).toBe(true);
    const cache = cacheOf(bytes);
    expect(cache.keep(module, answer)).toBe(true);
    expect(cache.isDue).toBe(false);
    const { head } = partsOf(readFileSync(path()));
    rewriteHead({ ...head, workMs: head.workMs >> 2 });
    expect(cache.isDue).toBe(true);
    rewriteHead({ ...head, workMs: 10 * head.workMs });
    expect(cache.isDue).toBe(false);
    // What was inherited counts: with as much again of its own this process would replace it.
    const heir = cacheOf(bytes);
    expect(heir.read(bytes)).toBeDefined();
    expect(heir.keep(module, answer)).toBe(true);
    expect(partsOf(readFileSync(path())).head.workMs).toBeGreaterThan(10 * head.workMs);
    const richer = Buffer.concat([partsOf(readFileSync(path())).code, Buffer.alloc(100)]);
    writeFileSync(path(), fileOf({ ...head, codeBytes: richer.length }, richer));
    expect(heir.keep(module, answer)).toBe(false);
  });

  test("is not made without a function of the module, and not of one that V8 has hardly optimized", async () => {
    const { bytes, module, answer } = await compiled();
    for (const none of [undefined, null, 0, () => 0, {}]) expect(cacheOf(bytes).keep(module, none)).toBe(false);
    expect(CodeCache.of(directory, hashOf(bytes), 1 << 20)!.keep(module, answer)).toBe(false);
    expect(readdirSync(directory)).toEqual([]);
  });

  test("that three processes write again and again is whole for whoever reads it meanwhile", async () => {
    const { bytes, module, answer } = await compiled();
    const [source, target] = [join(directory, "module"), join(directory, "cache")];
    writeFileSync(source, bytes);
    const cacheIn = () => CodeCache.of(target, hashOf(bytes), bytes.length)!;
    expect(cacheIn().keep(module, answer)).toBe(true);
    const url = new URL("../../../../src/sessions/module/code-cache.ts", import.meta.url).href;
    const script = `
      import { createHash } from "node:crypto";
      import { readFileSync } from "node:fs";
      const { CodeCache } = await import(${JSON.stringify(url)});
      const bytes = readFileSync(${JSON.stringify(source)});
      const module = await WebAssembly.compile(bytes);
      const memory = new WebAssembly.Memory({ initial: 1 });
      const { answer } = new WebAssembly.Instance(module, { env: { memory, log: () => 0 } }).exports;
      const cache = CodeCache.of(${JSON.stringify(target)}, createHash("sha256").update(bytes).digest(), bytes.length);
      let kept = 0;
      for (let round = 0; round < 100; round++) if (cache.keep(module, answer)) kept++;
      console.log(kept);
    `;
    const writers = Array.from({ length: 3 }, async () => {
      const child = spawn(process.execPath, ["--no-warnings", "--input-type=module", "-e", script]);
      const [output] = await Promise.all([textOf(child.stdout), once(child, "exit")]);
      return output;
    });
    let isWriting = true;
    const written = Promise.all(writers).finally(() => {
      isWriting = false;
    });
    while (isWriting) {
      expect(cacheIn().read(bytes)).toBeDefined();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(await written).toEqual(["100\n", "100\n", "100\n"]);
    // Of the same key: they have replaced one file, and left nothing beside it.
    expect(readdirSync(target)).toHaveLength(1);
  });

  test("that cannot be written costs nothing", async () => {
    const { bytes, module, answer } = await compiled();
    writeFileSync(join(directory, "file"), "");
    const cache = CodeCache.of(join(directory, "file", "cache"), hashOf(bytes), bytes.length)!;
    expect(cache.isDue).toBe(true);
    expect(cache.keep(module, answer)).toBe(false);
  });
});

interface Head {
  key: string;
  workMs: number;
  codeBytes: number;
}

function partsOf(file: Buffer): { head: Head; code: Buffer } {
  const end = 8 + file.readUInt32LE(4);
  return { head: JSON.parse(file.toString("utf8", 8, end)), code: file.subarray(end) };
}

/** With a right sum. */
function fileOf(head: unknown, code: Uint8Array, json = Buffer.from(JSON.stringify(head))): Buffer {
  const [sum, length] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32LE(json.length);
  const body = Buffer.concat([length, json, code]);
  sum.writeUInt32LE(crc32(body));
  return Buffer.concat([sum, body]);
}

function rewriteHead(head: Head): void {
  writeFileSync(path(), fileOf(head, partsOf(readFileSync(path())).code));
}

describe.runIf(isKnown)("V8 does not get, and the next start is not held up by,", () => {
  const bit = (file: Buffer, at: number) => {
    const changed = Buffer.from(file);
    changed[at]! ^= 1;
    return changed;
  };
  const damages: readonly [string, (file: Buffer) => Uint8Array][] = [
    ["an empty file", () => new Uint8Array(0)],
    ["a file that ends in its sum", (file) => file.subarray(0, 3)],
    ["a file that ends in its head", (file) => file.subarray(0, 60)],
    ["a file that lacks its last byte", (file) => file.subarray(0, -1)],
    ["a file with a byte more", (file) => Buffer.concat([file, Buffer.alloc(1)])],
    ["another bit in the sum", (file) => bit(file, 1)],
    ["another bit in the length", (file) => bit(file, 5)],
    ["a huge length", (file) => Buffer.concat([file.subarray(0, 4), Buffer.alloc(4, 0xff), file.subarray(8)])],
    ["another bit in the key", (file) => bit(file, 60)],
    ["another bit in V8's header", (file) => bit(file, file.length - partsOf(file).code.length + 2)],
    ["another bit in the middle of the code", (file) => bit(file, file.length - (partsOf(file).code.length >> 1))],
    ["another bit in the last byte", (file) => bit(file, file.length - 1)],
    ["zeros in the place of a page", (file) => Buffer.from(file).fill(0, file.length - 40, file.length - 8)],
    ["a file of noise", (file) => randomBytes(file.length)],
    ["no JSON behind the right sum", (file) => fileOf(0, partsOf(file).code, Buffer.from("{"))],
    ["null behind the right sum", (file) => fileOf(null, partsOf(file).code)],
    ["no length of the code", (file) => fileOf({ key: partsOf(file).head.key }, partsOf(file).code)],
    [
      "the key of another V8, processor or module behind the right sum",
      (file) => fileOf({ ...partsOf(file).head, key: `${partsOf(file).head.key}0` }, partsOf(file).code),
    ],
    ["no work", (file) => fileOf({ ...partsOf(file).head, workMs: null }, partsOf(file).code)],
    [
      "what another V8 wrote, behind the right sum and key",
      // V8's header begins with a number of its own and the hash of its version.
      (file) => fileOf(partsOf(file).head, bit(partsOf(file).code, 5)),
    ],
  ];

  test.each(damages)("%s", async (_, damage) => {
    const { bytes, module, answer } = await kept();
    const whole = readFileSync(path());
    writeFileSync(path(), damage(whole));
    const cache = cacheOf(bytes);
    expect(cache.read(bytes)).toBeUndefined();
    expect(cache.isUsed).toBe(false);
    expect(readdirSync(directory)).toEqual([]);
    expect(cache.isDue).toBe(true);
    expect(cache.keep(module, answer)).toBe(true);
    expect(cacheOf(bytes).read(bytes)).toBeDefined();
  });

  test("any bit of a file", async () => {
    const { bytes } = await kept();
    const whole = readFileSync(path());
    const name = path();
    for (let at = 0; at < whole.length; at++) {
      writeFileSync(name, bit(whole, at));
      expect([at, cacheOf(bytes).read(bytes)]).toEqual([at, undefined]);
    }
  });

  test.runIf(process.platform !== "win32")("a link, a directory, a file that others may write to", async () => {
    const { bytes, module, answer } = await kept();
    const name = path();
    chmodSync(name, 0o622);
    expect(cacheOf(bytes).read(bytes)).toBeUndefined();
    expect(cacheOf(bytes).keep(module, answer)).toBe(true);
    const target = join(directory, "target");
    writeFileSync(target, readFileSync(name));
    rmSync(name);
    symlinkSync(target, name);
    expect(cacheOf(bytes).read(bytes)).toBeUndefined();
    rmSync(name);
    mkdirSync(name);
    expect(cacheOf(bytes).read(bytes)).toBeUndefined();
    expect(cacheOf(bytes).keep(module, answer)).toBe(false);
  });
});

describe.runIf(isKnown)("V8", () => {
  test("is asked only for modules, and gets whole buffers only", async () => {
    const bytes = newBytes();
    const { module, answer } = await compiled(bytes);
    expect(writeCode({} as CompiledModule, answer)).toBeUndefined();
    const code = writeCode(module, answer)!;
    expect(readCode(code.subarray(1), bytes)).toBeUndefined();
    const { buffer } = code;
    expect(readCode(code, bytes)).toBeDefined();
    expect(buffer.byteLength).toBe(0);
  });
});
