/**
 * The engine as the rest of the project gets it: a thread that may die and is replaced, and listeners that outlive it.
 *
 * Owns: which thread is the current one, its boot, death, rebirth and end, who is told of a death. Does not own: the thread
 * (`engine-worker.ts`), one listener (`kept-listener.ts`), what runs in the thread (`../thread/`).
 * Invariant: the main thread never waits for the engine but in promises, and no byte of a client passes through here, but of
 * those who came while there was no engine.
 */
import { SessionsUnavailableError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Sessions } from "../options.ts";
import { canPark } from "../sessions/wasm/web-assembly.ts";
import type { Branches } from "./branches.ts";
import type { ChangeClock } from "./clock.ts";
import { copyIn } from "./copy-in.ts";
import type { Engine, EngineDeath, ExecOptions, OwnLogin, StatementOwner } from "./engine.ts";
import { type BootCircumstances, type EngineThreadOptions, EngineWorker } from "./engine-worker.ts";
import { executeSql } from "./execute-sql.ts";
import { KeptListener } from "./kept-listener.ts";
import type { ListenOptions, Transport } from "./listener.ts";
import type { States } from "./states.ts";
import { within } from "./within.ts";

/** What `openEngine` takes. */
export interface EngineOptions extends EngineThreadOptions {
  /** Brings a database in memory back to what it was at the start, through an engine that nobody else uses yet. */
  readonly restore?: (engine: Engine) => Promise<unknown>;
}

/**
 * Boots PGlite on a thread and resolves when it answers. Rejects with what kept it from that, and leaves nothing open:
 * with a `SessionsUnavailableError` when it would have booted without `maxSessions`.
 * Without `maxSessions` the only database it serves is `postgres`, the one that PGlite connects to.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  if (options.maxSessions !== undefined && !canPark()) {
    const needs = "isolated sessions need Node 24 or later (WebAssembly JSPI)";
    throw new SessionsUnavailableError(`${needs}, this is Node ${process.version}`);
  }
  const engine = new KeptEngine(options);
  await engine.waitReady;
  return engine;
}

class KeptEngine implements Engine {
  readonly waitReady: Promise<void>;
  serverVersion = "";
  readonly sessions: Sessions;
  readonly branches: Branches | undefined;
  readonly states: States | undefined;
  readonly changeClock: ChangeClock | undefined;
  /** Whose state a new engine is to keep when it begins to serve. What a directory keeps outlives an engine. */
  #keepsState: string | undefined;
  readonly #options: EngineOptions;
  readonly #listeners = new Map<number, KeptListener>();
  #lastListener = 0;
  /** The one that is used. */
  #thread: EngineWorker | undefined;
  /** The newest one, also while it is being restored. */
  #booted: EngineWorker | undefined;
  /** The boot that is under way. */
  #booting: Promise<void> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  /** When the last of its listeners was told to stop. */
  #stoppingSince: number | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.sessions = options.maxSessions === undefined ? "shared" : "isolated";
    if (this.sessions === "isolated") {
      this.branches = this.#askForBranches();
      this.states = this.#askForStates();
      this.changeClock = async (change) => (await this.#alive()).ask("changeClock", change);
    }
    options.directory?.onLost((lost) => {
      const thread = this.#booted;
      // It may not have noticed; whatever it does, it must not do more of it.
      if (thread?.isAlive) void thread.fail(lost);
    });
    this.waitReady = this.#boot();
  }

  async listen(options: ListenOptions): Promise<Transport> {
    return this.#listenOn(await this.#alive(), options);
  }

  #askForBranches(): Branches {
    return {
      create: async (source, name) => (await this.#alive()).ask("createBranch", source, name),
      drop: async (database) => (await this.#alive()).ask("dropBranch", database),
    };
  }

  #askForStates(): States {
    return {
      begin: async (database) => {
        if (this.#isInMemory) this.#keepsState = database;
        await (await this.#alive()).ask("beginStates", database);
      },
      reset: async (database) => (await this.#alive()).ask("resetState", database),
      snapshot: async (database, name) => (await this.#alive()).ask("keepState", database, name),
      restore: async (database, name) => (await this.#alive()).ask("restoreState", database, name),
      drop: async (database, name) => (await this.#alive()).ask("dropState", database, name),
    };
  }

  async logIn(login: OwnLogin): Promise<void> {
    await (await this.#alive()).ask("logIn", login);
  }

  async execProtocolRawStream(message: Uint8Array, options: ExecOptions): Promise<void> {
    await (await this.#alive()).exec(message, options);
  }

  get copyIn(): Engine["copyIn"] {
    return this.sessions === "isolated" ? (...copy) => copyIn(this, ...copy) : undefined;
  }

  runExclusive<T>(fn: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => (this.#thread ? fn() : this.#afterBoot(fn)));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #afterBoot<T>(fn: () => Promise<T>): Promise<T> {
    await this.#revived();
    return fn();
  }

  /** Resolves when there is an engine again; begins to make one unless that is under way. */
  async #revived(): Promise<void> {
    if (this.#closing) throw new Error("the engine is closed");
    if (this.#thread) return;
    this.#booting ??= this.#revive();
    await this.#booting;
  }

  async #alive(): Promise<EngineWorker> {
    await this.#revived();
    if (!this.#thread) throw new Error("the engine is closed");
    return this.#thread;
  }

  get #isInMemory(): boolean {
    return this.#options.dataDir === "memory://";
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #boot(): Promise<void> {
    this.#requireDirectory();
    const isFirst = this.serverVersion === "";
    const thread = await this.#bootThread({ mayInitialize: isFirst }).catch((error) => {
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
        await this.#options.restore?.(this.#alone(thread));
        if (this.#keepsState !== undefined) await thread.ask("beginStates", this.#keepsState);
        for (const listener of this.#listeners.values()) if (!listener.isOn(thread)) await listener.moveTo(thread);
      }
      this.#thread = thread;
    } catch (error) {
      await thread.kill();
      throw error;
    }
  }

  /** Throws what has become of the data directory if it is not the one that was locked any more. */
  #requireDirectory(): void {
    const lost = this.#options.directory?.check();
    if (lost) throw lost;
  }

  #bootThread(circumstances: BootCircumstances): Promise<EngineWorker> {
    // What a death means for the data, in a sentence.
    const consequence = this.#options.restore
      ? "The database was in memory: it starts again from its migrations and seed."
      : "It recovers from its log; what was committed is still there.";
    return EngineWorker.boot(
      { ...this.#options, ...circumstances, consequence },
      {
        onDeath: (worker, cause, runs) => {
          const farewell = this.#died(worker, cause, runs);
          // Where no other engine follows nobody waits for one.
          const listeners = farewell ? [] : [...this.#listeners.values()];
          void Promise.all(listeners.map((listener) => listener.abandoned(worker))).then(() => worker.held(farewell));
        },
        onDeaf: (owner, ms) => this.#log("info", this.#describeDeafness(owner, ms)),
        onLine: (listener, line, level) => this.#listeners.get(listener)?.options.log?.(line, level),
      },
    );
  }

  #describeDeafness({ processId, applicationName, statement }: StatementOwner, ms: number): string {
    const text = statement.replaceAll(/\s+/g, " ").trim();
    const who = `process ${processId} (application_name "${applicationName}"): "${text}"`;
    return this.sessions === "isolated"
      ? `${who} has not looked for interrupts for ${ms / 1000} s, and the others wait for it`
      : `${who} has run for ${ms / 1000} s, and all others wait for it: they share its session`;
  }

  // The engine for whoever uses it before everybody else.
  #alone(thread: EngineWorker): Engine {
    const run = (message: Uint8Array, options: ExecOptions) => thread.exec(message, options);
    const sessions = this.sessions;
    return {
      waitReady: Promise.resolve(),
      serverVersion: this.serverVersion,
      sessions,
      listen: (options) => this.#listenOn(thread, options),
      runExclusive: (fn) => fn(),
      logIn: (login) => thread.ask("logIn", login),
      execProtocolRawStream: run,
      copyIn: sessions === "isolated" ? (...copy) => copyIn({ execProtocolRawStream: run }, ...copy) : undefined,
      close: () => Promise.resolve(),
    };
  }

  async #listenOn(worker: EngineWorker, options: ListenOptions): Promise<Transport> {
    const number = ++this.#lastListener;
    const listener = new KeptListener(number, options, {
      onStopped: () => {
        this.#listeners.delete(number);
        if (this.#listeners.size === 0) this.#stoppingSince = performance.now();
      },
      // Whoever comes while there is no engine has one made, if the last attempt failed.
      onWaiting: () => this.#revived(),
    });
    this.#listeners.set(number, listener);
    try {
      await listener.listen(worker);
    } catch (error) {
      this.#listeners.delete(number);
      throw error;
    }
    return listener;
  }

  async #close(): Promise<void> {
    await this.#booting?.catch(() => {});
    const thread = this.#booted;
    if (!thread) return;
    // One that is lost has no thread any more; nobody makes a checkpoint there.
    if (this.#options.directory?.check()) await thread.kill();
    this.#requireDirectory();
    this.#thread = undefined;
    let isGivenUp = false;
    const closed = thread.close().catch((error: Error) => {
      if (isGivenUp || this.#options.directory?.check()) return;
      const then = this.#isInMemory ? "" : "; the next start will recover from the log";
      this.#log("error", `closing: ${error.message}${then}`);
    });
    if (!(await within(this.#msToClose(), closed))) {
      isGivenUp = true;
      // Of a database in memory nothing would be left in any case.
      if (!this.#isInMemory)
        this.#log("error", "closing: PostgreSQL did not shut down in time; it will recover from its log");
      await thread.kill();
    }
    this.#requireDirectory();
  }

  /** What is left of the time for a stop. On a busy machine a checkpoint may need what clients have not taken of it. */
  #msToClose(): number {
    const stoppingMs = performance.now() - (this.#stoppingSince ?? performance.now());
    return Math.max(limits.closeMs, limits.stopListeningMs + limits.closeMs - stoppingMs);
  }

  /** A thread has died. Returns what it shall tell its clients, if it still can, where no new one follows. */
  #died(thread: EngineWorker, cause: unknown, runs: readonly string[]): EngineDeath["farewell"] {
    if (this.#thread !== thread) return undefined;
    const lost = this.#options.directory?.check();
    if (lost) {
      this.#thread = undefined;
      return farewellOf(lost);
    }
    if (this.#closing) return undefined;
    this.#thread = undefined;
    const last = runs.map((run) => `  ${run}`).join("\n");
    this.#log("error", `the engine died: ${describe(cause)}\nits last runs, the newest last:\n${last}`);
    // Whoever needs the engine next sees why there is none.
    this.#revived().catch(() => {});
    return undefined;
  }

  async #revive(): Promise<void> {
    const began = performance.now();
    try {
      await this.#boot();
      this.#log("info", `a new engine runs after ${Math.round(performance.now() - began)} ms`);
    } catch (error) {
      this.#log("error", `no new engine could be started: ${describe(error)}`);
      throw error;
    } finally {
      this.#booting = undefined;
    }
  }

  #log(level: "error" | "info" | "debug", line: string): void {
    this.#options.log?.(level, line);
  }
}

/** As PostgreSQL's postmaster does when its lock file is not its own any more: an immediate shutdown. */
function farewellOf(lost: Error): EngineDeath["farewell"] {
  const message = "terminating connection due to immediate shutdown: the data directory is not this server's any more";
  return { severity: "FATAL", code: "57P01", message, detail: `${lost.message}.` };
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
