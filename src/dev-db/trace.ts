/**
 * The trace that the options ask for.
 *
 * Owns: making its file, and what its first line says. Does not own: what is recorded (`../thread/`, `trace/record/`).
 * Invariant: of the options only those are named in it that matter for what clients see; none that is secret.
 */
import { createRequire } from "node:module";
import { resolve } from "node:path";
import type { Engine } from "../engine/engine.ts";
import type { ListenOptions } from "../engine/listener.ts";
import { nameOf, type ResolvedOptions } from "../options.ts";
import { createTraceFile } from "../trace/record/trace-file.ts";

const megabyte = 1024 * 1024;

/** Makes the file. Throws a `UsageError` where it cannot be. */
export function makeTrace(options: ResolvedOptions, cwd: string): void {
  if (options.trace !== undefined) createTraceFile(resolve(cwd, options.trace), nameOf(options, "trace"));
}

/** What the listener is told of it. */
export function traceOptions(
  options: ResolvedOptions,
  cwd: string,
  { serverVersion, sessions }: Pick<Engine, "serverVersion" | "sessions">,
): Pick<ListenOptions, "trace"> {
  if (options.trace === undefined) return {};
  const file = resolve(cwd, options.trace);
  const { db, maxConnections, idleTimeoutMs, stallTimeoutMs } = options;
  const settings = {
    sessions,
    db: db === "memory://" ? db : "directory",
    maxConnections,
    idleTimeoutMs,
    stallTimeoutMs,
  };
  const own: string = createRequire(import.meta.url)("pglite-devdb/package.json").version;
  const versions = { "pglite-devdb": own, postgresql: serverVersion, node: process.versions.node };
  const header = { began: Date.now(), by: "server" as const, versions, settings };
  return { trace: { file, limitBytes: options.traceLimitMb * megabyte, header } };
}
