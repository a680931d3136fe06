/**
 * `pglite-devdb run -- CMD ARG…`: a server for the time of one command.
 *
 * Owns: the command's environment, and the order of starting and ending. Does not own: the server, the child process.
 * Invariant: stdout belongs to the command; when this process ends neither the command nor the server is left running.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { environmentWith } from "../dev-db/address.ts";
import { controlDevDb, type DevDbContext } from "../dev-db/control.ts";
import { DataDirectoryError, ExitCode, UsageError } from "../errors.ts";
import { readServerUrl, writeServerUrl } from "../options/server-url.ts";
import type { Log, ResolvedOptions } from "../options.ts";
import { inTemporaryDirectory } from "../system/temporary.ts";
import { removeTraceFile } from "../trace/record/trace-file.ts";
import { type Child, checkCommand, startChild } from "./child.ts";
import { type CliCommand, serverOptions } from "./command.ts";
import { hasTerminal, isInForeground } from "./foreground.ts";
import { logTo } from "./log.ts";
import { ProgressLine } from "./progress.ts";
import { listenForSignals, SignalReceived } from "./signals.ts";

/** The command `run`. */
export const runCommand: CliCommand = {
  name: "run",
  usage: "[options] -- CMD [ARG...]",
  summary: "start a server, run CMD with DATABASE_URL and PG* set, and end the server",
  options: serverOptions("run"),
  configure: (command) => void command.passThroughOptions(),
  async run(argv, options, { cwd, environment, stderr }) {
    if (!argv[0]) throw new UsageError("run: name the command to run: pglite-devdb run [options] -- npm test");
    checkCommand({ argv, environment, cwd });
    const { trace, traceOnFailure } = options;
    if (trace !== undefined && traceOnFailure !== undefined) {
      throw new UsageError("run: --trace and --trace-on-failure cannot be given together");
    }
    const line = new ProgressLine(stderr, environment, options);
    const log = logTo(line, options.logLevel);
    let child: Child | undefined;
    const endNow = () => {
      child?.kill();
      log("error", "ending before everything is closed");
    };
    const signal = listenForSignals(endNow, {
      // The terminal has sent it to the command as well, which decides what it means.
      isIgnored: (received) => child !== undefined && received === "SIGINT" && hasTerminal() && isInForeground(),
      heldMs: () => (child === undefined ? 0 : options.graceMs || Number.POSITIVE_INFINITY),
    });
    const traced = traceOnFailure === undefined ? options : { ...options, trace: traceOnFailure };
    const dropTrace = () => {
      if (traceOnFailure !== undefined) removeTraceFile(resolve(cwd, traceOnFailure));
    };
    const { db, stop } = await startUnlessAborted(traced, { cwd, log, progress: line.doing }, signal)
      .catch((error) => {
        dropTrace();
        throw error;
      })
      .finally(() => line.end());
    const ending = new AbortController();
    signal.addEventListener("abort", () => ending.abort(signal.reason), { once: true });
    if (signal.aborted) ending.abort(signal.reason);
    // Without its database the command has nothing to go on with.
    db.ended.catch(() => ending.abort(new SignalReceived("SIGTERM")));
    let exitCode: number = ExitCode.failure;
    try {
      log("info", `${withoutPassword(db.url)} is ready (${(db.ms / 1000).toFixed(1)} s)`);
      const own = { argv, environment: childEnvironment(environment, db.env, log), cwd };
      child = startChild({ ...own, signal: ending.signal, graceMs: options.graceMs, log });
      exitCode = await child.ended;
    } finally {
      child = undefined;
      await stop().catch((error) => {
        if (error instanceof DataDirectoryError) throw error;
        log("error", `closing the server: ${String(error)}`);
        exitCode ||= ExitCode.failure;
      });
      if (exitCode === ExitCode.ok) dropTrace();
      else if (traceOnFailure !== undefined) log("info", `there is a trace: pglite-devdb trace show ${traceOnFailure}`);
    }
    return exitCode;
  },
};

/**
 * Starts the server; a signal ends the start. Later signals are the command's, which may still need the server to end
 * well.
 */
async function startUnlessAborted(
  options: ResolvedOptions,
  context: Omit<DevDbContext, "signal">,
  signal: AbortSignal,
) {
  const starting = new AbortController();
  const onAbort = () => starting.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const control = controlDevDb(options, { ...context, signal: starting.signal });
  const db = await control.start();
  signal.removeEventListener("abort", onAbort);
  return { db, stop: () => control.stop() };
}

/** Node reads one file only. Returns one with both, which goes with the server like `certificate`, beside which it is. */
function trustBoth(own: string, certificate: string): string {
  let trusted: string;
  try {
    trusted = readFileSync(own, "utf8");
  } catch {
    // Node only warns about a file that it cannot read.
    return certificate;
  }
  const both = join(dirname(certificate), "trusted.pem");
  const text = `${trusted.trimEnd()}\n${readFileSync(certificate, "utf8")}`;
  inTemporaryDirectory("run", () => writeFileSync(both, text));
  return both;
}

/** The log is kept longer than a password should be. */
function withoutPassword(url: string): string {
  return writeServerUrl({ ...readServerUrl(url, "the server"), password: "" });
}

function childEnvironment(
  own: NodeJS.ProcessEnv,
  server: Readonly<Record<string, string>>,
  log: Log,
): NodeJS.ProcessEnv {
  const before = own.DATABASE_URL;
  if (before !== undefined && before !== server.DATABASE_URL) {
    log("info", "warning: DATABASE_URL was set to another database; the command gets this server instead");
  }
  const environment = environmentWith(own, server);
  const { NODE_EXTRA_CA_CERTS: certificate } = server;
  if (own.NODE_EXTRA_CA_CERTS && certificate) {
    environment.NODE_EXTRA_CA_CERTS = trustBoth(own.NODE_EXTRA_CA_CERTS, certificate);
  }
  return environment;
}
