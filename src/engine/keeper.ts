/**
 * Keeping an engine thread: its boot, its death, its rebirth, its end.
 *
 * Owns: which thread is the current one, and who is told of a death. Does not own: threads (`engine-worker.ts`,
 * `thread-life.ts`), or what runs in one.
 * Invariant: the main thread never waits for the engine but in promises; when the engine has died its listeners know
 * before anybody's run is rejected, and the next turn is given by a new engine.
 */
import type { Engine, EngineDeath, EngineInput, ExecOptions, IdleTimeouts } from "./engine.ts";
import { executeSql } from "./execute-sql.ts";
import { limits } from "./thread/limits.ts";
import type { BootCircumstances, EngineThreadOptions } from "./thread-life.ts";
import { within } from "./within.ts";

/** What `openEngine` takes. */
export interface EngineOptions extends EngineThreadOptions {
  /** One PostgreSQL session for each client, that many at once; absent: one for all. */
  readonly maxSessions?: number;
  /** How long one of them may idle in a transaction while another waits for its locks, in ms; 0, the default, is for ever. */
  readonly transactionIdleTimeoutMs?: number;
  /** Brings a database in memory back to what it was at the start, through an engine that nobody else uses yet. */
  readonly restore?: (engine: Engine) => Promise<unknown>;
  /** How long a statement may ignore that it is cancelled before the log says so, in ms. */
  readonly deafAfterMs?: number;
}

/** An engine thread, as it is kept. */
interface KeptThread {
  readonly isAlive: boolean;
  exec(input: EngineInput, options: ExecOptions): Promise<void>;
  /** Settled when the thread is gone; rejects if PostgreSQL could not shut down properly. */
  close(): Promise<void>;
  kill(): Promise<void>;
  /** As if it had died of `cause`. */
  fail(cause: unknown): Promise<void>;
}

/** An engine whose thread may die and be replaced. */
export abstract class Keeper<Thread extends KeptThread> implements Engine {
  readonly waitReady: Promise<void>;
  serverVersion = "";
  protected readonly options: EngineOptions;
  readonly #listeners = new Set<(death: EngineDeath) => void>();
  /** The one that gives turns. */
  #thread: Thread | undefined;
  /** The newest one, also while it is being restored. */
  #booted: Thread | undefined;
  /** The boot that is under way. */
  #booting: Promise<void> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(options: EngineOptions) {
    this.options = options;
    options.directory?.onLost((lost) => {
      const thread = this.#booted;
      // It may not have noticed; whatever it does, it must not do more of it.
      if (thread?.isAlive) void thread.fail(lost);
    });
    // The constructors of subclasses go on first.
    this.waitReady = Promise.resolve().then(() => this.#boot());
  }

  /** Starts a thread; rejects, and leaves nothing of it, when it cannot be had. */
  protected abstract bootThread(circumstances: BootCircumstances): Promise<Thread>;
  /** What a thread can do for whoever uses it before everybody else. */
  protected abstract alone(thread: Thread): Pick<Engine, "listen" | "execProtocolRawStream" | "databases">;
  /** Called when a thread that takes the place of a dead one is as it should be, before anybody else gets it. */
  protected abstract replaced(thread: Thread): Promise<void>;
  /** Has what runs end; resolves when it has. */
  protected abstract quiesce(thread: Thread): Promise<void>;
  abstract execProtocolRawStream(message: EngineInput, options: ExecOptions): Promise<void>;
  abstract interrupt(stillWanted: () => boolean): void;
  abstract idleTimeouts(): IdleTimeouts;

  /** The thread that gives turns, while there is one. */
  protected get thread(): Thread | undefined {
    return this.#thread;
  }

  /** What a death means for the data, in a sentence. */
  protected get consequence(): string {
    return this.options.restore
      ? "The database was in memory: it starts again from its migrations and seed."
      : "It recovers from its log; what was committed is still there.";
  }

  runExclusive<T>(fn: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => (this.#thread ? fn() : this.#afterBoot(fn)));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #afterBoot<T>(fn: () => Promise<T>): Promise<T> {
    await this.revived();
    return fn();
  }

  /** Resolves when there is an engine again; begins to make one unless that is under way. */
  protected async revived(): Promise<void> {
    if (this.#closing) throw new Error("the engine is closed");
    if (this.#thread) return;
    this.#booting ??= this.#revive();
    await this.#booting;
  }

  onDeath(listener: (death: EngineDeath) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #boot(): Promise<void> {
    this.#requireDirectory();
    const isFirst = this.serverVersion === "";
    const thread = await this.bootThread({ mayInitialize: isFirst }).catch((error) => {
      this.#requireDirectory();
      throw error;
    });
    try {
      this.#booted = thread;
      if (this.#closing) throw new Error("the engine was closed while it booted");
      this.#requireDirectory();
      const [version] = await executeSql(this.#alone(thread), "show server_version");
      this.serverVersion = version?.rows[0]?.[0] ?? "";
      if (!isFirst) {
        await this.options.restore?.(this.#alone(thread));
        await this.replaced(thread);
      }
      this.#thread = thread;
    } catch (error) {
      await thread.kill();
      throw error;
    }
  }

  /** Throws what has become of the data directory if it is not the one that was locked any more. */
  #requireDirectory(): void {
    const lost = this.options.directory?.check();
    if (lost) throw lost;
  }

  // The engine for whoever uses it before everybody else.
  #alone(thread: Thread): Engine {
    return {
      waitReady: Promise.resolve(),
      serverVersion: this.serverVersion,
      runExclusive: (fn) => fn(),
      interrupt: () => {},
      idleTimeouts: () => ({}),
      onDeath: () => () => {},
      close: () => Promise.resolve(),
      ...this.alone(thread),
    };
  }

  async #close(): Promise<void> {
    await this.#booting?.catch(() => {});
    const thread = this.#booted;
    if (!thread) return;
    // One that is lost has no thread any more; nobody makes a checkpoint there.
    if (this.options.directory?.check()) await thread.kill();
    this.#requireDirectory();
    const isIdle = await within(limits.closeMs, this.quiesce(thread));
    this.#thread = undefined;
    if (!isIdle) {
      this.log("error", "closing: a statement did not end; the next start will recover from the log");
      await thread.kill();
      return;
    }
    let isGivenUp = false;
    const closed = thread.close().catch((error: Error) => {
      if (isGivenUp || this.options.directory?.check()) return;
      this.log("error", `closing: ${error.message}; the next start will recover from the log`);
    });
    if (!(await within(limits.closeMs, closed))) {
      isGivenUp = true;
      this.log("error", "closing: PostgreSQL did not shut down in time; it will recover from its log");
      await thread.kill();
    }
    this.#requireDirectory();
  }

  /**
   * To be called when a thread has died, before its runs are rejected: who listens must know first. Returns what a thread that
   * is still able to shall tell its clients where no new one follows.
   */
  protected died(thread: Thread, cause: unknown, runs: readonly string[]): EngineDeath["farewell"] {
    if (this.#thread !== thread) return undefined;
    const lost = this.options.directory?.check();
    if (lost) {
      this.#thread = undefined;
      const death = endOf(lost);
      for (const listener of this.#listeners) listener(death);
      return death.farewell;
    }
    if (this.#closing) return undefined;
    this.#thread = undefined;
    const last = runs.map((run) => `  ${run}`).join("\n");
    this.log("error", `the engine died: ${describe(cause)}\nits last runs, the newest last:\n${last}`);
    for (const listener of this.#listeners) listener({ cause, consequence: this.consequence });
    // Whoever needs the engine next sees why there is none.
    this.revived().catch(() => {});
    return undefined;
  }

  async #revive(): Promise<void> {
    const began = performance.now();
    try {
      await this.#boot();
      this.log("info", `a new engine runs after ${Math.round(performance.now() - began)} ms`);
    } catch (error) {
      this.log("error", `no new engine could be started: ${describe(error)}`);
      throw error;
    } finally {
      this.#booting = undefined;
    }
  }

  protected log(level: "error" | "info" | "debug", line: string): void {
    this.options.log?.(level, line);
  }
}

/** As PostgreSQL's postmaster does when its lock file is not its own any more: an immediate shutdown. */
function endOf(lost: Error): EngineDeath {
  const message = "terminating connection due to immediate shutdown: the data directory is not this server's any more";
  const farewell = { severity: "FATAL", code: "57P01", message, detail: `${lost.message}.` } as const;
  return { cause: lost, consequence: lost.message, farewell };
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
