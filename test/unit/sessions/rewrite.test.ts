/** The rewrite of `pglite.wasm`, of the installed version and of others, and its cache. */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { knownBinaries } from "../../../src/sessions/module/known-binaries.ts";
import { loadMarked, loadRewritten } from "../../../src/sessions/module/module-cache.ts";
import type { StockBinary } from "../../../src/sessions/module/stock-binary.ts";
import { hookImport } from "../../../src/sessions/rewrite/hooks.ts";
import { Locator } from "../../../src/sessions/rewrite/locate.ts";
import { markWrites } from "../../../src/sessions/rewrite/mark-writes.ts";
import { rewriteAndMark } from "../../../src/sessions/rewrite/marked-postgres.ts";
import { rewritePostgres } from "../../../src/sessions/rewrite/postgres.ts";
import { reserveStack } from "../../../src/sessions/rewrite/stack-depth.ts";
import { shareMemoryImport } from "../../../src/sessions/wasm/imports.ts";
import { WasmModule } from "../../../src/sessions/wasm/module.ts";
import { webAssembly } from "../../../src/sessions/wasm/web-assembly.ts";
import {
  currentPGlite,
  firstInRange,
  lastInRange,
  pgliteVersions,
  withAPatternTwice,
} from "../../support/pglite-versions.ts";
import { smallModule } from "./small-module.ts";

const { binary: stock } = currentPGlite;
const stockOf = (bytes: Uint8Array): StockBinary => ({
  hash: createHash("sha256").update(bytes).digest("hex"),
  read: () => bytes,
});

const others = pgliteVersions.filter(({ binary }) => binary !== stock);

let madeOfStock: ReturnType<typeof rewriteAndMark> | undefined;
/** The real rewrite, once for all tests: two seconds. */
const rewriteOnce = ({ read }: StockBinary) => {
  expect(read()).toBe(stock);
  madeOfStock ??= rewriteAndMark(read());
  return madeOfStock;
};
const loadStock = (from = directory) => loadRewritten(stockOf(stock), from, rewriteOnce);

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "rewrite-test-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

test("the binaries that the sessions are tested with are those of the range in package.json, of which the last is installed", () => {
  const inRange = pgliteVersions.filter(({ isInRange }) => isInRange);
  const found = inRange.map(({ version, binary }) => [createHash("sha256").update(binary).digest("hex"), version]);
  expect(knownBinaries).toEqual(Object.fromEntries(found));
  expect(Object.values(knownBinaries).sort()).toMatchObject({ 0: firstInRange, [inRange.length - 1]: lastInRange });
  expect(currentPGlite.version).toBe(lastInRange);
});

test("a library for one of them goes with all: they have the same imports and exports", () => {
  const surfaces = pgliteVersions
    .filter(({ isInRange }) => isInRange)
    .map(({ binary }) => {
      const { imports, exports } = new WasmModule(binary);
      return [imports.map(({ module, field }) => `${module}.${field}`), [...exports.keys()]].map((names) =>
        names.sort(),
      );
    });
  for (const surface of surfaces) expect(surface).toEqual(surfaces[0]);
});

test("a binary of the range is known; another one is not", { tags: "long" }, async () => {
  for (const { version, binary, isInRange } of pgliteVersions) {
    expect([version, (await loadRewritten(stockOf(binary), directory)).known]).toEqual([version, isInRange]);
  }
});

describe("the binary of the product", () => expectRewrite(stock));

describe.each(others)("the binary of PGlite $version", { tags: "long" }, ({ binary }) => expectRewrite(binary));

function expectRewrite(binary: Uint8Array): void {
  test("is rewritten to a valid module with the sessions' exports and a table from outside", () => {
    const { bytes, addresses, tableSize } = rewritePostgres(binary);
    expect(webAssembly.validate(bytes)).toBe(true);
    const before = new WasmModule(binary);
    const after = new WasmModule(bytes);
    const added = [...after.exports.keys()].filter((name) => !before.exports.has(name));
    expect(added).toEqual([
      "sessions_InitProcess",
      "sessions_PostgresMain",
      "sessions_proc_exit_prepare",
      "sessions_load_hba",
      "sessions_watched",
      "sessions_CheckpointerMain",
      "sessions_WalWriterMain",
    ]);
    expect(after.imports.map(({ field }) => field)).toEqual([
      ...before.imports.map(({ field }) => field),
      "sessions_table",
    ]);
    expect(tableSize).toBeGreaterThan(1000);
    const { signalHandlers, localLatch, exitCallbackCounts, checkpointerShared } = addresses;
    expect(new Set([signalHandlers, localLatch, ...exitCallbackCounts, checkpointerShared]).size).toBe(6);
  });

  test("has every function that is not patched as before: no index has moved", () => {
    // It moves functions behind the others; stack-depth.test.ts counts them.
    const before = new WasmModule(reserveStack(binary));
    const after = new WasmModule(rewritePostgres(binary).bytes);
    expect(after.bodies.length).toBe(before.bodies.length);
    const changed = after.bodies.filter((body, at) => Buffer.compare(body, before.bodies[at]!) !== 0);
    // PostgresMain, proc_exit, ProcKill, AuxiliaryProcKill, WaitLatch, pg_usleep, kill; RequestCheckpoint, XLogFileInit,
    // ProcessInterrupts; PostmasterIsAliveInternal; sbrk; raw_parser; copydir, CountOtherDBBackends; load_hba; fdopen; InitPostgres; PrepareClientEncoding; AllocateFile,
    // OpenTransientFilePerm, AllocateDir, convert_and_check_filename; setlocale, newlocale; and the fourteen of the footprints.
    expect(changed.length).toBe(40);
  });

  test("has one function, libc's poll, that calls the import that carries the hooks", () => {
    const module = new WasmModule(binary);
    const locator = new Locator(module);
    const poll = module.importedFunction(hookImport);
    const callers = module.bodies.flatMap((_, at) => {
      const index = at + module.importedFunctions;
      return locator.calls(index).includes(poll) ? [index] : [];
    });
    expect(callers).toHaveLength(1);
  });
}

test("a binary without a pattern is refused, and the error names the pattern", () => {
  const broken = Buffer.from(stock);
  broken.write("lnitProcess", broken.indexOf("\0InitProcess\0") + 1, "latin1");
  expect(() => rewritePostgres(broken)).toThrow('PGlite\'s WebAssembly has no string "InitProcess"');
  expect(() => rewritePostgres(smallModule())).toThrow("does not import the function __syscall_poll");
});

test("a binary that has a pattern twice is refused, and the error names the pattern", () => {
  const twice = withAPatternTwice();
  expect(webAssembly.validate(twice)).toBe(true);
  expect(() => rewritePostgres(twice)).toThrow('has 2 places, not one, for a function that refers to "InitProcess"');
});

describe("the cache", () => {
  const path = () => join(directory, readdirSync(directory)[0]!);

  test("keeps the rewritten module, and what is taken from it is what was put in", async () => {
    const first = await loadStock();
    expect(readdirSync(directory)).toHaveLength(1);
    // To show that it is read: something of the same form that the rewrite would not make.
    const file = readFileSync(path());
    const marked = Buffer.from(file.toString("latin1").replace('"tableSize":', '"tableSized":'), "latin1");
    marked.writeUInt32LE(marked.readUInt32LE(36) + 1, 36);
    createHash("sha256").update(marked.subarray(36)).digest().copy(marked, 4);
    writeFileSync(path(), withSum(marked.subarray(4)));
    const second = await loadStock();
    expect(second.located).toEqual({ addresses: first.located.addresses, tableSized: first.located.tableSize });
    // By which snapshots and V8's code are known.
    expect([first.hash, second.hash]).toEqual([file.subarray(4, 36), marked.subarray(4, 36)]);
  });

  test("has a number in its name that was raised with the last change of the rewrite", async () => {
    await loadStock();
    const [, version] = /^sessions-(\d+)-/.exec(readdirSync(directory)[0]!) ?? [];
    const module = createHash("sha256")
      .update(rewriteOnce(stockOf(stock)).bytes)
      .digest("hex");
    // If only the second one is not as here, of the same PGlite: raise `rewriteVersion`, or the files of the last version are taken for those of this one.
    expect([version, module]).toEqual(["63", "5f49ccd97a84d767e2ea1ec70fb1ffb7b053e77358912214b8e13d216b61b133"]);
  });

  const damages: readonly [string, (file: Buffer) => Uint8Array][] = [
    ["is empty", () => new Uint8Array(0)],
    ["ends within the sum", (file) => file.subarray(0, 3)],
    ["ends within the hash", (file) => withSum(file.subarray(4, 20))],
    ["was half written", (file) => file.subarray(0, file.length >> 1)],
    ["lacks its last byte", (file) => file.subarray(0, -1)],
    [
      "has another bit in what was located",
      (file) => withBit(file, file.indexOf("localLatch") + "localLatch".length + 3),
    ],
    ["has another bit in the module", (file) => withBit(file, file.length - 100)],
    ["is something else with the right sum", () => withSum(Buffer.from("something else"))],
    ["is no module behind the right sum", (file) => withSum(file.subarray(4, 2000))],
  ];

  let kept: { readonly name: string; readonly whole: Buffer; readonly located: unknown } | undefined;
  /** Puts the file there; it is made once for all tests. */
  const keep = async () => {
    if (!kept) {
      const { located } = await loadStock();
      kept = { name: readdirSync(directory)[0]!, whole: readFileSync(path()), located };
    } else writeFileSync(join(directory, kept.name), kept.whole, { mode: 0o600 });
    return kept;
  };

  test.each(damages)("costs only a rewrite when its file %s, and is mended by that", async (_, damage) => {
    const { whole, located } = await keep();
    writeFileSync(path(), damage(whole));
    const mended = await loadStock();
    expect(mended.located).toEqual(located);
    expect(readdirSync(directory)).toHaveLength(1);
    expect(readFileSync(path()).equals(whole)).toBe(true);
  });

  test("is done without where it cannot be written or read", async () => {
    const file = join(directory, "file");
    writeFileSync(file, "");
    const { located } = await loadStock("");
    // A directory below a file, and a directory in the place of the file.
    expect((await loadStock(join(file, "cache"))).located).toEqual(located);
    const cache = join(directory, "cache");
    await loadStock(cache);
    const kept = join(cache, readdirSync(cache)[0]!);
    rmSync(kept);
    mkdirSync(join(kept, "in the way"), { recursive: true });
    expect((await loadStock(cache)).located).toEqual(located);
    expect(readdirSync(cache)).toHaveLength(1);
  });

  test("is whole at any moment for many that write it at once", async () => {
    const all = await Promise.all(Array.from({ length: 4 }, () => loadStock()));
    expect(new Set(all.map(({ located }) => JSON.stringify(located))).size).toBe(1);
    expect(readdirSync(directory)).toHaveLength(1);
  });
});

describe("the cache of libraries", () => {
  // Anything whose memory is imported is rewritten; this one is large.
  const library = shareMemoryImport(stock);
  // Not toEqual: it would print megabytes.
  const gives = (bytes: Uint8Array, expected: Uint8Array) =>
    Buffer.compare(loadMarked(bytes, directory), expected) === 0;

  test("keeps what was rewritten, gives the same, and is mended", () => {
    const marked = markWrites(reserveStack(library));
    expect(gives(library, marked)).toBe(true);
    const [name] = readdirSync(directory);
    const path = join(directory, name!);
    // To show that it is read: something that the rewrite would not make.
    writeFileSync(path, withSum(Buffer.from("another")));
    expect(gives(library, Buffer.from("another"))).toBe(true);
    writeFileSync(path, readFileSync(path).subarray(0, -1));
    expect(gives(library, marked)).toBe(true);
    expect(gives(library, marked)).toBe(true);
    expect(readdirSync(directory)).toEqual([name]);
  });

  test("has neither small ones nor what is not changed", () => {
    const small = smallModule();
    expect(gives(small, markWrites(small))).toBe(true);
    const marked = markWrites(library);
    expect(gives(marked, marked)).toBe(true);
    expect(readdirSync(directory)).toEqual([]);
  });
});

function withBit(file: Buffer, at: number): Buffer {
  const other = Buffer.from(file);
  other[at] = other[at]! ^ 1;
  return other;
}

function withSum(body: Buffer): Buffer {
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(body));
  return Buffer.concat([sum, body]);
}
