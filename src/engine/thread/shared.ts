/**
 * One PostgreSQL session for all clients: PGlite as it is, on shared memory.
 *
 * Owns: booting it, and what its modules are given. Does not own: its runs (`shared-session.ts`), the memory
 * (`../../sessions/shared-memory.ts`). Invariant: nobody but `Backend` enters PostgreSQL between the boot and the close.
 */
import { types } from "node:util";
import type { Extensions } from "@electric-sql/pglite";
import { BundledExtensions } from "../../sessions/bundled-extensions.ts";
import type { RaisingPostgres } from "../../sessions/errors.ts";
import { findTimeouts, type InterruptAddresses, Interrupts } from "../../sessions/interrupts.ts";
import { refuseMissingFunctions } from "../../sessions/missing-functions.ts";
import { loadReserved } from "../../sessions/module/module-cache.ts";
import { compileParser, parserGuard, parserName } from "../../sessions/module/tier-up.ts";
import { notPermitted } from "../../sessions/postgres-process.ts";
import { maxPreparedTransactions } from "../../sessions/prepared-transactions.ts";
import { ServerLog } from "../../sessions/server-log.ts";
import { original, shareMemories } from "../../sessions/shared-memory.ts";
import { keepLibraries } from "../../sessions/wanted-libraries.ts";
import { insertOnEntry } from "../../sessions/wasm/module.ts";
import { type CompiledModule, type Imports, type WasmInstance, webAssembly } from "../../sessions/wasm/web-assembly.ts";
import { Backend } from "./backend.ts";
import type { ThreadMessage, ThreadOptions } from "./protocol.ts";
import { makeReloadable } from "./reload.ts";
import { SharedCheckpoints } from "./shared-checkpoints.ts";
import { SharedSession } from "./shared-session.ts";

/** Of the last instance, which is the server's. */
let bundled: BundledExtensions | undefined;
/** By memory: while a database is made there are two. */
const running = new WeakMap<object, RaisingPostgres>();

// PostgreSQL touches all of it when it starts. PGlite's default is 128 MB; behind it there is a cache anyway: the system's, or
// the file system in memory.
const sharedBuffers = "16MB";

/** What is booted. */
interface SharedPostgres {
  readonly session: SharedSession;
  readonly memory: SharedArrayBuffer;
  readonly interrupts: InterruptAddresses;
}

/** Boots PGlite. Rejects with PGlite's own error, or when its memory is not shared. */
export async function bootShared(
  options: ThreadOptions,
  extensions: Extensions,
  post: (message: ThreadMessage) => void,
): Promise<SharedPostgres> {
  const { dataDir, fsync, identity, mayInitialize } = options;
  shareMemories({ instantiate, link, edit: loadReserved });
  const { PGlite } = await import("@electric-sql/pglite");
  const { openDirectoryFiles } = await import("../data-directory/directory-files.ts");
  const { openMemoryFiles } = await import("../../cluster/memory-files.ts");
  const { startParams, ...files } =
    dataDir === "memory://"
      ? { fs: await openMemoryFiles(), startParams: PGlite.defaultStartParams }
      : await openDirectoryFiles({ path: dataDir, fsync, identity, mayInitialize });
  const log = new ServerLog();
  log.onReport = (level, text) => post({ kind: "log", level, text });
  const { onStderr } = log;
  // As in PostgreSQL, system tables can only be changed by who asks for that.
  const ordinary = startParams.filter((parameter) => parameter !== "-O");
  const settings = [`shared_buffers=${sharedBuffers}`, `max_prepared_transactions=${maxPreparedTransactions}`].concat(
    Object.entries(options.settings).map(([name, value]) => `${name}=${value}`),
  );
  const { extensions: kept, libraries } = keepLibraries(extensions);
  const pgliteOptions = {
    ...files,
    extensions: kept,
    onStderr,
    // Read by PGlite when it has set up its extensions.
    get startParams(): string[] {
      const preloaded = libraries.length > 0 ? [`shared_preload_libraries=${libraries.join(",")}`] : [];
      return [...ordinary, ...[...settings, ...preloaded].flatMap((setting) => ["-c", setting])];
    },
  };
  const pglite = await PGlite.create(pgliteOptions).catch((error) => {
    throw log.explainFailedStart(error);
  });
  log.hasStarted();
  const { Module: postgres } = pglite;
  const memory: ArrayBuffer | SharedArrayBuffer = postgres.HEAPU8.buffer;
  if (!(memory instanceof SharedArrayBuffer)) throw new Error("PGlite's memory is not shared");
  const addresses = interruptAddresses(postgres as unknown as Record<string, unknown>, memory);
  const backend = new Backend(postgres);
  // Engine: PGlite throws for a command of the system (COPY … TO PROGRAM), and a throw ends PostgreSQL for everyone. No
  // pipe at all is an error of the statement.
  const refuse = () => {
    const { ___errno_location } = postgres as unknown as Record<string, () => number>;
    new Int32Array(memory).fill(notPermitted, ___errno_location!() >> 2, (___errno_location!() >> 2) + 1);
    return 0;
  };
  postgres._pgl_set_popen_fn(postgres.addFunction(refuse, "ppp"));
  makeReloadable(postgres);
  if (bundled) bundled.files = bundled.filesForIcu = postgres.FS;
  const session = new SharedSession({
    ...{ backend, turns: options.turns },
    interrupts: new Interrupts(memory, addresses),
    checkpoints: new SharedCheckpoints(backend, postgres),
    explainEnd: (thrown) => log.explainEnd(thrown),
    close: () => pglite.close(),
  });
  return { session, memory, interrupts: addresses };
}

async function instantiate(source: CompiledModule | Uint8Array, imports?: Imports): Promise<unknown> {
  const { env } = imports ?? {};
  const isPostgres = env && "_setitimer_js" in env && !isLinkers(env);
  // PGlite's own timers would run PostgreSQL's signal handler while nobody is in the engine, and after `SET
  // idle_in_transaction_session_timeout` the next call would never return.
  const memory = env?.memory as { readonly buffer: SharedArrayBuffer } | undefined;
  if (isPostgres) {
    env._setitimer_js = () => 0;
    bundled = new BundledExtensions(() => new Uint8Array(memory!.buffer));
    bundled.offer(env);
  }
  const guarded =
    isPostgres && source instanceof Uint8Array ? insertOnEntry(source, parserName, parserGuard) : undefined;
  const result = await original.instantiate.call(webAssembly, guarded ?? source, imports && link(imports));
  if (isPostgres && memory) {
    const { exports } =
      "instance" in (result as object) ? (result as { instance: WasmInstance }).instance : (result as WasmInstance);
    if (guarded) compileParser(exports);
    running.set(memory, {
      exports,
      write: (address, bytes) => new Uint8Array(memory.buffer).set(bytes, address),
    });
  }
  return result;
}

function link(imports: Imports): Imports {
  const { env } = imports;
  if (!env || !isLinkers(env)) return imports;
  return { ...imports, env: refuseMissingFunctions(env, () => running.get(env.memory as object)!) };
}

/** Engine: Emscripten resolves the imports of a library one by one. */
function isLinkers(env: object): boolean {
  return types.isProxy(env);
}

function interruptAddresses(globals: Record<string, unknown>, memory: SharedArrayBuffer): InterruptAddresses {
  const address = (name: string): number => {
    const value = globals[`_${name}`];
    if (typeof value === "number") return value;
    throw new Error(`this PGlite does not export the address of PostgreSQL's ${name}`);
  };
  return {
    interruptPending: address("InterruptPending"),
    queryCancelPending: address("QueryCancelPending"),
    myLatch: address("MyLatch"),
    allTimeouts: findTimeouts(memory),
  };
}
