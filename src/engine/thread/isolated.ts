/**
 * A PostgreSQL session for each client: PGlite on the rewritten module.
 *
 * Owns: booting it. Does not own: sessions (`sessions/`) and the check that they work here, their clients
 * (`session-loop.ts`). Invariant: the module's memory is the one whose addresses the main thread is told.
 */
import type { Extensions } from "@electric-sql/pglite";
import type { EngineChannel } from "../channel.ts";
import type { ThreadOptions } from "./protocol.ts";
import { runSessions } from "./session-loop.ts";
import { SessionHost } from "./sessions/host.ts";

/** Boots PGlite. Rejects with PGlite's own error, or with why sessions cannot be had here. */
export async function bootIsolated(
  { dataDir, fsync }: ThreadOptions,
  maxSessions: number,
  extensions: Extensions,
  channel: EngineChannel,
) {
  const settings = fsync ? { fsync: "on", wal_sync_method: "fsync" } : {};
  const files = dataDir === "memory://" ? undefined : await directoryFiles(dataDir, fsync);
  const host = await SessionHost.open({
    dataDir,
    ...(files ? { files } : {}),
    maxSessions,
    extensions,
    settings,
  });
  const { machine } = host;
  const { buffer } = machine.memory;
  return {
    ready: {
      kind: "ready" as const,
      memory: buffer as SharedArrayBuffer,
      addresses: {
        interruptPending: machine.address("InterruptPending"),
        queryCancelPending: machine.address("QueryCancelPending"),
        myLatch: machine.address("MyLatch"),
        allTimeouts: host.process.timeouts,
      },
    },
    run: () => runSessions(host, channel),
    close: () => host.close(),
  };
}

async function directoryFiles(path: string, fsync: boolean) {
  const { openDirectoryFiles } = await import("../directory-files.ts");
  return openDirectoryFiles({ path, fsync }).fs;
}
