/** The rewrite of the installed `pglite.wasm`, and its cache. */
import { createHash } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { knownBinaries, loadRewritten } from "../../../../src/engine/thread/module-cache.ts";
import { Locator } from "../../../../src/engine/thread/rewrite/locate.ts";
import { hookImport, rewritePostgres } from "../../../../src/engine/thread/rewrite/postgres.ts";
import { WasmModule } from "../../../../src/engine/thread/wasm/module.ts";
import { webAssembly } from "../../../../src/engine/thread/wasm/web-assembly.ts";
import { smallModule } from "./small-module.ts";

const require = createRequire(import.meta.url);
const stock = readFileSync(join(dirname(require.resolve("@electric-sql/pglite")), "pglite.wasm"));

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "rewrite-test-"));
});
afterEach(() => {
  chmodSync(directory, 0o700);
  rmSync(directory, { recursive: true });
});

test("the installed binary is one of those that the sessions are tested with", () => {
  expect(knownBinaries[createHash("sha256").update(stock).digest("hex")]).toBeDefined();
});

test("the installed binary is rewritten to a valid module with the sessions' exports and a table from outside", () => {
  const { bytes, addresses, tableSize } = rewritePostgres(stock);
  expect(webAssembly.validate(bytes)).toBe(true);
  const before = new WasmModule(stock);
  const after = new WasmModule(bytes);
  const added = [...after.exports.keys()].filter((name) => !before.exports.has(name));
  expect(added).toEqual(["sessions_InitProcess", "sessions_PostgresMain", "sessions_proc_exit_prepare"]);
  expect(after.imports.map(({ field }) => field)).toEqual([
    ...before.imports.map(({ field }) => field),
    "sessions_table",
  ]);
  expect(tableSize).toBeGreaterThan(1000);
  const distinct = new Set([addresses.signalHandlers, addresses.localLatch, ...addresses.exitCallbackCounts]);
  expect(distinct.size).toBe(5);
});

test("no index has moved: every function that is not patched has the same body", () => {
  const before = new WasmModule(stock);
  const after = new WasmModule(rewritePostgres(stock).bytes);
  expect(after.bodies.length).toBe(before.bodies.length);
  const changed = after.bodies.filter((body, at) => Buffer.compare(body, before.bodies[at]!) !== 0);
  // PostgresMain, InitPostgres, proc_exit, ProcKill, WaitLatch, pg_usleep, kill.
  expect(changed.length).toBe(7);
});

test("only one function of the stock binary, libc's poll, calls the import that carries the hooks", () => {
  const module = new WasmModule(stock);
  const locator = new Locator(module);
  const poll = module.importedFunction(hookImport);
  const callers = module.bodies.flatMap((_, at) => {
    const index = at + module.importedFunctions;
    return locator.calls(index).includes(poll) ? [index] : [];
  });
  expect(callers).toHaveLength(1);
});

test("a binary without a pattern is refused, and the error names the pattern", () => {
  const broken = Buffer.from(stock);
  broken.write("lnitProcess", broken.indexOf("\0InitProcess\0") + 1, "latin1");
  expect(() => rewritePostgres(broken)).toThrow('PGlite\'s WebAssembly has no string "InitProcess"');
  expect(() => rewritePostgres(smallModule())).toThrow("does not import the function __syscall_poll");
});

test("the rewritten module is kept and taken from the cache; a damaged or missing file only costs a rewrite", async () => {
  const first = await loadRewritten(stock, directory);
  const files = readdirSync(directory).sort();
  expect(files).toHaveLength(2);
  const second = await loadRewritten(stock, directory);
  expect(second.located).toEqual(first.located);
  writeFileSync(join(directory, files.find((name) => name.endsWith(".wasm"))!), "damaged");
  expect((await loadRewritten(stock, directory)).located).toEqual(first.located);
  writeFileSync(join(directory, files.find((name) => name.endsWith(".json"))!), "{");
  expect((await loadRewritten(stock, directory)).located).toEqual(first.located);
  expect(readdirSync(directory).sort()).toEqual(files);
});

test("where the cache cannot be written, the module is rewritten all the same", async () => {
  const file = join(directory, "file");
  writeFileSync(file, "");
  expect((await loadRewritten(stock, join(file, "cache"))).known).toBe(true);
  expect((await loadRewritten(stock, "")).known).toBe(true);
});
