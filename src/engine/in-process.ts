/**
 * The engine on the main thread: a PGlite instance behind the `Engine` interface.
 *
 * Owns: booting and closing PGlite. Does not own: who may run next, transactions, or the meaning of the bytes.
 * Invariant: nothing outside `engine/` holds the PGlite instance.
 */
import { type Extensions, PGlite } from "@electric-sql/pglite";
import type { Engine } from "./engine.ts";
import { executeSql } from "./execute-sql.ts";
import { withoutTimers } from "./without-timers.ts";

/** What `openInProcessEngine` takes. */
export interface InProcessEngineOptions {
  /** A directory, or `memory://`. */
  dataDir: string;
  /** PGlite extensions by their PGlite name. */
  extensions?: Extensions;
}

/**
 * Boots PGlite and resolves when it answers. Rejects with PGlite's own error, after closing what was opened.
 * The only database it serves is `postgres`, the one that PGlite connects to.
 */
export async function openInProcessEngine(options: InProcessEngineOptions): Promise<Engine> {
  const pglite = await withoutTimers(() =>
    PGlite.create({
      dataDir: options.dataDir,
      ...(options.extensions ? { extensions: options.extensions } : {}),
    }),
  );
  let closing: Promise<void> | undefined;
  const engine = {
    waitReady: pglite.waitReady,
    serverVersion: "",
    databases: ["postgres"],
    runExclusive: <T>(fn: () => Promise<T>) => pglite.runExclusive(fn),
    // Engine: PGlite's Node filesystems (memory, directory) have nothing to sync after a call; asking costs a mutex.
    execProtocolRawStream: (message: Uint8Array, { onRawData }: { onRawData: (data: Uint8Array) => void }) =>
      pglite.execProtocolRawStream(message, { onRawData, syncToFs: false }),
    close: () => {
      closing ??= pglite.close();
      return closing;
    },
  };
  const [version] = await executeSql(engine, "show server_version");
  engine.serverVersion = version?.rows[0]?.[0] ?? "";
  return engine;
}
