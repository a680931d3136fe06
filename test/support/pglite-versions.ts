/**
 * The versions of PGlite that the rewrite and the sessions are tested with, and binaries that are damaged on purpose.
 *
 * Owns: where they are, and what is wrong with the damaged ones. Does not own: a server on one of them (`installation.ts`).
 * Invariant: every damage leaves a valid module that serves shared sessions as before.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { Locator } from "../../src/sessions/rewrite/locate.ts";
import { concat, signed } from "../../src/sessions/wasm/bytes.ts";
import { Op, skipLocals } from "../../src/sessions/wasm/instructions.ts";
import { WasmModule } from "../../src/sessions/wasm/module.ts";

/** A PGlite as it is installed. */
export interface PGliteVersion {
  readonly version: string;
  /** The directory of the package. */
  readonly directory: string;
  /** Its `pglite.wasm`. */
  readonly binary: Uint8Array;
  /** Whether it is in the range of releases that package.json has. */
  readonly isInRange: boolean;
}

const require = createRequire(import.meta.url);

const { dependencies } = JSON.parse(readFileSync(`${import.meta.dirname}/../../package.json`, "utf8")) as {
  readonly dependencies: Record<string, string>;
};

/** The first and the last release that the product takes. */
export const [firstInRange, lastInRange] = rangeOf(dependencies["@electric-sql/pglite"]!);

/** The one that is installed first, then the others of the range, and one that it has left behind. */
export const pgliteVersions: readonly PGliteVersion[] = [
  "@electric-sql/pglite",
  "pglite-0.5.15",
  "pglite-0.5.14",
  "pglite-0.5.10",
].map((name) => {
  const directory = dirname(dirname(require.resolve(name)));
  const { version } = JSON.parse(readFileSync(`${directory}/package.json`, "utf8")) as { version: string };
  const isInRange = patchOf(version) >= patchOf(firstInRange) && patchOf(version) <= patchOf(lastInRange);
  return { version, directory, binary: readFileSync(`${directory}/dist/pglite.wasm`), isInRange };
});

function rangeOf(range: string): readonly [string, string] {
  const [, first, last] = /^>=(0\.5\.\d+) <=(0\.5\.\d+)$/.exec(range) ?? [];
  if (!first || !last) throw new Error(`the range of PGlite is no range of releases of 0.5: ${range}`);
  return [first, last];
}

function patchOf(version: string): number {
  return Number(version.split(".")[2]);
}

/** The one that is installed. */
export const currentPGlite = pgliteVersions[0]!;

/** `pglite.wasm` with a second function that refers to the string by which InitProcess is found. */
export function withAPatternTwice(): Uint8Array {
  const module = new WasmModule(currentPGlite.binary);
  const constants = Buffer.from(module.constantMemory(4 << 20).buffer).toString("latin1");
  const address = constants.indexOf("\0InitProcess\0") + 1;
  prepend(module, module.exportedFunction("pg_usleep"), [Op.i32Const, ...signed(address), Op.drop]);
  return module.toBytes();
}

/** `pglite.wasm` in which MyDatabaseId is not where it says, so that a PGPROC does not look as it should. */
export function withAnotherLayout(): Uint8Array {
  const module = new WasmModule(currentPGlite.binary);
  module.exports.set("MyDatabaseId", module.exports.get("MyProcPid")!);
  return module.toBytes();
}

/** `pglite.wasm` in which a wait for a lock is an endless loop. */
export function withAnEndlessWait(): Uint8Array {
  const emptyBlock = 0x40;
  const branch = 0x0c;
  return inProcSleep([Op.loop, emptyBlock, branch, 0, Op.end]);
}

/** `pglite.wasm` in which a wait for a lock is a trap. */
export function withATrapForAWait(): Uint8Array {
  const unreachable = 0x00;
  return inProcSleep([unreachable]);
}

/** storage/lmgr/proc.c: entered only to wait for a lock, which no session does that is the only one. */
function inProcSleep(code: readonly number[]): Uint8Array {
  const module = new WasmModule(currentPGlite.binary);
  prepend(module, new Locator(module).functionByStrings("ProcSleep"), code);
  return module.toBytes();
}

function prepend(module: WasmModule, index: number, code: readonly number[]): void {
  const body = module.body(index);
  const start = skipLocals(body, 0);
  module.replaceBody(index, concat([body.subarray(0, start), code, body.subarray(start)]));
}
