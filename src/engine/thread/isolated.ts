/**
 * A PostgreSQL session for each client: PGlite on the rewritten module.
 *
 * Owns: booting it, and when the sessions are tried out before. Does not own: sessions and their trial (`sessions/`), their
 * clients (`session-loop.ts`), what follows when they cannot be had (`../thread-life.ts`).
 * Invariant: a binary that is not known is let near the data only after it has passed the trial.
 */
import type { Extensions } from "@electric-sql/pglite";
import type { EngineChannel } from "../channel.ts";
import { openMemoryFiles } from "./memory-files.ts";
import type { RewrittenPostgres } from "./module-cache.ts";
import type { ThreadMessage, ThreadOptions } from "./protocol.ts";
import { runSessions } from "./session-loop.ts";
import { loadPostgres } from "./sessions/boot.ts";
import { SessionHost } from "./sessions/host.ts";
import { bootTimeoutMs, tryOut } from "./sessions/self-check.ts";

/** Boots PGlite. Rejects with PGlite's own error, or, while `checking` is set, with why sessions cannot be had. */
export async function bootIsolated(
  { dataDir, fsync, checking }: ThreadOptions,
  maxSessions: number,
  extensions: Extensions,
  channel: EngineChannel,
  post: (message: ThreadMessage) => void,
) {
  const postgres = await checkedPostgres(checking, post);
  const settings = fsync ? { fsync: "on", wal_sync_method: "fsync" } : {};
  const host = await SessionHost.open({
    dataDir,
    files: await (dataDir === "memory://" ? openMemoryFiles() : directoryFiles(dataDir, fsync)),
    maxSessions,
    extensions,
    settings,
    postgres,
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

async function checkedPostgres(
  checking: Int32Array,
  post: (message: ThreadMessage) => void,
): Promise<RewrittenPostgres> {
  const onStep = (step: string, limitMs: number) => post({ kind: "checking", step, limitMs });
  // A message might come later than the error that ends the thread.
  Atomics.store(checking, 0, 1);
  onStep("the rewrite of PGlite's WebAssembly", bootTimeoutMs);
  const postgres = await loadPostgres();
  if (!postgres.known) await tryOut(postgres, onStep);
  Atomics.store(checking, 0, 0);
  post({ kind: "checked", wasTried: !postgres.known });
  return postgres;
}

async function directoryFiles(path: string, fsync: boolean) {
  const { openDirectoryFiles } = await import("../directory-files.ts");
  return (await openDirectoryFiles({ path, fsync })).fs;
}
