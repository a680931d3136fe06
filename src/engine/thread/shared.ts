/**
 * One PostgreSQL session for all clients: PGlite as it is.
 *
 * Owns: booting it, and what its modules are given. Does not own: whose messages run (`../../thread/one-session.ts`), the memory
 * (`../../sessions/shared-memory.ts`).
 */
import { types } from "node:util";
import type { Extensions, PGlite } from "@electric-sql/pglite";
import { openMemoryFiles } from "../../cluster/memory-files.ts";
import { BundledExtensions } from "../../sessions/bundled-extensions.ts";
import type { RaisingPostgres } from "../../sessions/errors.ts";
import { refuseMissingFunctions } from "../../sessions/missing-functions.ts";
import { loadReserved } from "../../sessions/module/module-cache.ts";
import { compileParser, parserGuard, parserName } from "../../sessions/module/tier-up.ts";
import { maxPreparedTransactions } from "../../sessions/prepared-transactions.ts";
import { ServerLog } from "../../sessions/server-log.ts";
import { original, shareMemories } from "../../sessions/shared-memory.ts";
import { keepLibraries } from "../../sessions/wanted-libraries.ts";
import { insertOnEntry } from "../../sessions/wasm/module.ts";
import { type CompiledModule, type Imports, type WasmInstance, webAssembly } from "../../sessions/wasm/web-assembly.ts";
import { openDirectoryFiles } from "../data-directory/directory-files.ts";
import type { ThreadMessage, ThreadOptions } from "./protocol.ts";

// PostgreSQL touches all of it when it starts. PGlite's default is 128 MB; behind it there is a cache anyway: the system's, or
// the file system in memory.
const sharedBuffers = "16MB";

/** Of the last instance, which is the server's. */
let bundled: BundledExtensions | undefined;
/** By memory: while a database is made there are two. */
const running = new WeakMap<object, RaisingPostgres>();

/** Boots it. Rejects with PGlite's own error. */
export async function bootShared(
  options: ThreadOptions,
  extensions: Extensions,
  post: (message: ThreadMessage) => void,
): Promise<PGlite> {
  const { dataDir, fsync, identity, mayInitialize, settings } = options;
  shareMemories({ instantiate, link, edit: loadReserved });
  const { PGlite } = await import("@electric-sql/pglite");
  const { startParams, ...files } =
    dataDir === "memory://"
      ? { fs: await openMemoryFiles(), startParams: PGlite.defaultStartParams }
      : await openDirectoryFiles({ path: dataDir, fsync, identity, mayInitialize });
  const log = new ServerLog();
  log.onReport = (level, text) => post({ kind: "log", level, text });
  const { onStderr } = log;
  const { extensions: kept, libraries } = keepLibraries(extensions);
  const all = { shared_buffers: sharedBuffers, max_prepared_transactions: maxPreparedTransactions, ...settings };
  const pglite = await PGlite.create({
    ...files,
    extensions: kept,
    onStderr,
    // Read by PGlite when it has set up its extensions.
    get startParams(): string[] {
      const preloaded = libraries.length > 0 ? { shared_preload_libraries: libraries.join(",") } : {};
      const values = Object.entries({ ...all, ...preloaded }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
      // As in PostgreSQL, system tables can only be changed by who asks for that.
      return [...startParams.filter((parameter) => parameter !== "-O"), ...values];
    },
  }).catch((error) => {
    throw log.explainFailedStart(error);
  });
  log.hasStarted();
  const { Module: postgres } = pglite;
  // Engine: PGlite throws for a command of the system (COPY … TO PROGRAM), and is left in no known state. No pipe at all is an error of the
  // statement.
  postgres._pgl_set_popen_fn(postgres.addFunction(() => 0, "ppp"));
  if (bundled) bundled.files = bundled.filesForIcu = postgres.FS;
  return pglite;
}

async function instantiate(source: CompiledModule | Uint8Array, imports?: Imports): Promise<unknown> {
  const { env } = imports ?? {};
  const isPostgres = env && "_setitimer_js" in env && !isLinkers(env);
  const memory = env?.memory as { readonly buffer: ArrayBufferLike } | undefined;
  if (isPostgres) {
    // PGlite's timers would run PostgreSQL's signal handler while nobody is in the engine, and after `SET
    // idle_in_transaction_session_timeout` the session of all would end.
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
    running.set(memory, { exports, write: (address, bytes) => new Uint8Array(memory.buffer).set(bytes, address) });
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
