/**
 * A PostgreSQL session for each client: PGlite on the rewritten module.
 *
 * Owns: booting it, and when the sessions are tried out before. Does not own: sessions and their trial (`sessions/`), their
 * clients (`transport/`), what follows when they cannot be had (`../engine-worker.ts`).
 * Invariant: a binary that is not known is let near the data only after it has passed the trial.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Extensions } from "@electric-sql/pglite";
import { openMemoryFiles } from "../../cluster/memory-files.ts";
import { beginNewCluster } from "../../cluster/new-cluster.ts";
import { loadPostgres } from "../../sessions/boot.ts";
import { SessionHost } from "../../sessions/host.ts";
import type { RewrittenPostgres } from "../../sessions/module/module-cache.ts";
import { filesPerBackend } from "../../sessions/open-files.ts";
import { bootTimeoutMs, tryOut } from "../../sessions/self-check.ts";
import { SnapshotCache } from "../../sessions/snapshot/snapshot-cache.ts";
import { isInterruptedMove } from "../data-directory/initialization.ts";
import type { IsolatedOptions, ThreadMessage, ThreadOptions } from "./protocol.ts";

/** What PostgreSQL tells its log only, even where a client waits, and a person should know of. */
const troubleOfFiles = /^could not \w+ (file|directory)\b/;

/** Boots PGlite. Rejects with PGlite's own error, or, while `checking` is set, with why sessions cannot be had. */
export async function bootIsolated(
  options: ThreadOptions,
  { maxSessions, checking }: IsolatedOptions,
  extensions: Extensions,
  post: (message: ThreadMessage) => void,
): Promise<{
  readonly host: SessionHost;
  readonly code: RewrittenPostgres["code"];
  readonly snapshot: SnapshotCache | undefined;
}> {
  const { dataDir, fsync } = options;
  const inMemory = dataDir === "memory://";
  // Both take seconds, and each a core.
  const onRewrite = () => {
    if (inMemory || mayGetNewDatabase(options)) beginNewCluster();
  };
  const postgres = await checkedPostgres(checking, post, onRewrite);
  const settings = {
    ...(fsync ? { fsync: "on", wal_sync_method: "fsync" } : {}),
    // 64 MB of notifications that a client has not read, instead of 8 GB: in memory they are memory.
    ...(inMemory ? { max_notify_queue_pages: "8192" } : {}),
    ...options.settings,
    ...(inMemory ? {} : { max_files_per_process: String(filesPerBackend(maxSessions)) }),
  };
  const snapshot = inMemory ? SnapshotCache.of(postgres, { maxSessions, extensions, settings }) : undefined;
  const boot = async (): Promise<SessionHost> => {
    const files = await (inMemory ? openMemoryFiles() : directoryFiles(options));
    const bootOptions = { dataDir, files, copying: files.copying, maxSessions, extensions, settings, postgres };
    return snapshot ? snapshot.boot(bootOptions) : SessionHost.open(bootOptions);
  };
  const restored = await snapshot?.restore(postgres, maxSessions);
  if (restored) post({ kind: "restored" });
  const host = restored ?? (await boot());
  const { log } = host;
  log.isWanted = (severity, message) =>
    severity === "LOG"
      ? troubleOfFiles.test(message)
      : // A PANIC is the end, and then the reason of it.
        host.runsBehindClients && /^(WARNING|ERROR|FATAL)$/.test(severity);
  log.onReport = (level, text) => post({ kind: "log", level, text });
  return { host, code: postgres.code, snapshot };
}

async function checkedPostgres(
  checking: Int32Array,
  post: (message: ThreadMessage) => void,
  onRewrite: () => void,
): Promise<RewrittenPostgres> {
  const onStep = (step: string, limitMs: number) => post({ kind: "checking", step, limitMs });
  // A message might come later than the error that ends the thread.
  Atomics.store(checking, 0, 1);
  onStep("the rewrite of PGlite's WebAssembly", bootTimeoutMs);
  const postgres = await loadPostgres(onRewrite);
  if (!postgres.known) await tryOut(postgres, onStep);
  Atomics.store(checking, 0, 0);
  post({ kind: "checked", wasTried: !postgres.known, hasKeptCode: postgres.code?.isUsed === true });
  return postgres;
}

function mayGetNewDatabase({ dataDir, mayInitialize }: ThreadOptions): boolean {
  return mayInitialize && !existsSync(join(dataDir, "PG_VERSION")) && !isInterruptedMove(dataDir);
}

async function directoryFiles({ dataDir: path, fsync, identity, mayInitialize }: ThreadOptions) {
  const { openDirectoryFiles } = await import("../data-directory/directory-files.ts");
  return (await openDirectoryFiles({ path, fsync, identity, mayInitialize })).fs;
}
