/**
 * The life of a database: one start at a time, shared by all callers, and its stop.
 *
 * Owns: single flight, stopping, and the making of the handle that callers get. Does not own: the steps of a start
 * (`open.ts`), or where options come from.
 * Invariant: a start that failed has closed all it opened before its error is seen, and leaves nothing that could
 * disturb the next one; stopping is idempotent and may begin at any moment of a start.
 */
import { DataDirectoryError, UsageError } from "../errors.ts";
import type { Log, Progress, ResolvedOptions } from "../options.ts";
import { describeUnfitRuntime } from "../system/runtime.ts";
import { connectionEnvironment, connectionUrl } from "./address.ts";
import { makeBranch } from "./branch.ts";
import { CleanupStack } from "./cleanup.ts";
import { clockOf } from "./clock.ts";
import { openOnEngine } from "./engines.ts";
import type { DevDb, DevDbController, DevDbOptions } from "./handle.ts";
import type { OpenedDevDb, OpenParts } from "./open.ts";
import { resetsOf } from "./resets.ts";

/** What `controlDevDb` takes beside the options. */
export interface DevDbContext extends Pick<DevDbOptions, "cwd" | "signal" | "log"> {
  /** Whether whoever has started it may ask for a reset: then the state in which it is ready is kept, where that costs little: in memory. */
  keepsStates?: boolean;
  /** Whether nobody is given the database itself, but only branches of it. */
  forBranches?: boolean;
  /** Is told what a start is at; also when an engine in memory begins anew, later. */
  progress?: Progress;
  /** Stand-ins for tests. */
  parts?: OpenParts;
}

const warned = new Set<string>();

/** The log of those who want none: what they must know all the same is a warning of the process, each text once. */
function warnOnce(level: Parameters<Log>[0], line: string): void {
  const [, warning] = /^warning: (.*)$/s.exec(line) ?? [];
  const text = level === "error" ? line : warning;
  if (text === undefined || warned.has(text)) return;
  warned.add(text);
  process.emitWarning(text, "PgliteDevDbWarning");
}

/** Makes a handle that several callers can share; nothing is opened yet. */
export function controlDevDb(options: ResolvedOptions, context: DevDbContext): DevDbController {
  let current: Run | undefined;
  return {
    start() {
      if (!current || current.ending) current = new Run(options, context, current?.ending);
      return current.started;
    },
    async stop() {
      await current?.end();
    },
  };
}

/** One start and what became of it; never used twice. */
class Run {
  /** Settles when the database is ready, or when a failed start has closed everything. */
  readonly started: Promise<DevDb>;
  readonly #abort = new AbortController();
  readonly #cleanup = new CleanupStack();
  /** Settles with the end, whoever has caused it. */
  readonly #ended: Promise<void>;
  #hasEnded: (ending: Promise<void>) => void = () => {};
  /** The end of the run before this one. */
  readonly #previous: Promise<void>;
  #ending: Promise<void> | undefined;

  constructor(options: ResolvedOptions, context: DevDbContext, previous: Promise<void> = Promise.resolve()) {
    this.#previous = previous.catch(() => {});
    this.#ended = new Promise((resolve) => {
      this.#hasEnded = resolve;
    });
    this.#ended.catch(() => {});
    this.started = this.#start(options, context);
    // Whoever asked for the start sees its error; a stop that nobody else waits for must not report it again.
    this.started.catch(() => {});
  }

  /** Set as soon as this run is ending or has failed. */
  get ending(): Promise<void> | undefined {
    return this.#ending;
  }

  end(reason: unknown = new Error("the database was stopped while it was starting")): Promise<void> {
    if (!this.#ending) {
      this.#abort.abort(reason);
      // A start that never got further than waiting for the end of the run before must not look ended before that is.
      this.#ending = Promise.all([this.#cleanup.close(), this.#previous]).then(() => {});
      this.#ending.catch(() => {});
      this.#hasEnded(this.#ending);
    }
    return this.#ending;
  }

  async #start(options: ResolvedOptions, context: DevDbContext): Promise<DevDb> {
    const { cwd = process.cwd(), log = warnOnce, progress = () => {}, signal, parts, forBranches = false } = context;
    const isUsual = context.keepsStates === true && options.db === "memory://";
    const keepsStates = options.resets === undefined ? isUsual : options.resets === "on";
    const began = performance.now();
    try {
      await this.#previous;
      this.#abort.signal.throwIfAborted();
      this.#follow(signal);
      const unfit = describeUnfitRuntime();
      if (unfit !== undefined) throw new UsageError(unfit);
      const opened = await openOnEngine(options, {
        cwd,
        log,
        progress,
        signal: this.#abort.signal,
        cleanup: this.#cleanup,
        forBranches,
        keepsStates,
        onLost: (lost) => {
          // What has become of it is in the error, which `ended` and `close` have.
          const what = lost instanceof DataDirectoryError ? "the data directory is lost" : "the server is gone";
          log("error", `${what}: ending at once`);
          void this.end(lost).catch(() => {});
        },
        ...(parts ? { parts } : {}),
      });
      this.#abort.signal.throwIfAborted();
      return this.#handle(opened, Math.round(performance.now() - began), keepsStates && options.db === "memory://");
    } catch (error) {
      await this.end(error).catch((failure) => log("error", `closing after a failed start: ${String(failure)}`));
      // Once the start was told to end, errors of its steps are only consequences of that.
      throw this.#abort.signal.reason;
    }
  }

  /** Ties this run to the caller's signal; an aborted one counts at once. */
  #follow(signal: AbortSignal | undefined): void {
    if (!signal) return;
    const onAbort = () => void this.end(signal.reason);
    this.#cleanup.defer(() => signal.removeEventListener("abort", onAbort));
    signal.addEventListener("abort", onAbort, { once: true });
    signal.throwIfAborted();
  }

  #handle(opened: OpenedDevDb, ms: number, keepsStates: boolean): DevDb {
    const { transport, address, serverVersion, sessions, migrationsApplied } = opened;
    const close = () => this.end();
    return {
      url: connectionUrl(address),
      host: address.host,
      port: address.port,
      socketDir: transport.socketDir,
      user: address.user,
      database: address.database,
      certificateFile: address.certificateFile,
      sessions,
      version: serverVersion,
      migrationsApplied,
      ms,
      env: connectionEnvironment(address),
      stats: () => transport.stats(),
      ...resetsOf(opened, keepsStates),
      clock: clockOf(opened),
      branch: (name) => makeBranch(opened, () => this.#ending !== undefined, name),
      ended: this.#ended,
      close,
      [Symbol.asyncDispose]: close,
    };
  }
}
