/**
 * The engine on its own thread, as the rest of the project gets it: turns, cancelling, timeouts, death and rebirth.
 *
 * Owns: which engine thread is the current one, and watching over what runs in it. Does not own: the thread and its
 * bytes (`engine-thread.ts`), or who runs next (the queue).
 * Invariant: the main thread never waits for the engine but in promises; when the engine has died its listeners know
 * before anybody's run is rejected, and the next turn is given by a new engine.
 */
import { SessionsUnavailableError } from "../errors.ts";
import { describeMessages } from "../wire/describe-messages.ts";
import type {
  Engine,
  EngineDeath,
  EngineInput,
  EngineSession,
  ExecOptions,
  IdleTimeouts,
  SessionEvents,
} from "./engine.ts";
import { EngineThread } from "./engine-thread.ts";
import { executeSql } from "./execute-sql.ts";
import { SessionThread } from "./session-thread.ts";
import { Timeout } from "./thread/interrupts.ts";
import { canPark } from "./thread/wasm/web-assembly.ts";
import type { EngineThreadOptions } from "./thread-life.ts";

/** What `openEngine` takes. */
export interface EngineOptions extends EngineThreadOptions {
  /** Brings a database in memory back to what it was at the start, through an engine that nobody else uses yet. */
  readonly restore?: (engine: Engine) => Promise<unknown>;
  /** How long a statement may ignore that it is cancelled before its thread is replaced, in ms. */
  readonly stuckAfterMs?: number;
}

// How often a statement that runs on is looked at, in ms: its timeouts, and a cancel that it has not seen yet.
const watchIntervalMs = 5;
const defaultStuckAfterMs = 10_000;
// How long `close` waits for a statement to end and for PostgreSQL to shut down, in ms each.
const closeTimeoutMs = 2000;
// How many of the last runs the log shows after a death.
const rememberedRuns = 8;
const rememberedBytes = 200;

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
  const supervisor = options.maxSessions === undefined ? new Supervisor(options) : new SessionSupervisor(options);
  await supervisor.waitReady;
  return supervisor;
}

class Supervisor implements Engine {
  readonly waitReady: Promise<void>;
  readonly databases: readonly string[] | undefined = ["postgres"];
  serverVersion = "";
  readonly #options: EngineOptions;
  readonly #listeners = new Set<(death: EngineDeath) => void>();
  /** The one that gives turns. */
  #thread: EngineThread | SessionThread | undefined;
  /** The newest one, also while it is being restored. */
  #booted: EngineThread | SessionThread | undefined;
  /** The boot that is under way. */
  #booting: Promise<void> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;
  #current: ExecOptions | undefined;
  #watch: NodeJS.Timeout | undefined;
  readonly #recent: Uint8Array[] = [];

  constructor(options: EngineOptions) {
    this.#options = options;
    this.waitReady = this.#boot();
  }

  async #boot(): Promise<void> {
    const kind = this.#options.maxSessions === undefined ? EngineThread : SessionThread;
    const thread = await kind.boot(this.#options, (dead, cause) => this.#onDeathOf(dead, cause));
    try {
      this.#booted = thread;
      if (this.#closing) throw new Error("the engine was closed while it booted");
      const isFirst = this.serverVersion === "";
      const [version] = await executeSql(this.#alone(thread), "show server_version");
      this.serverVersion = version?.rows[0]?.[0] ?? "";
      if (!isFirst) await this.#options.restore?.(this.#alone(thread));
      this.#thread = thread;
    } catch (error) {
      await thread.kill();
      throw error;
    }
  }

  // The engine for whoever uses it before everybody else.
  #alone(thread: EngineThread | SessionThread): Engine {
    return {
      waitReady: Promise.resolve(),
      databases: this.databases,
      serverVersion: this.serverVersion,
      runExclusive: (fn) => fn(),
      execProtocolRawStream: (message, options) => thread.exec(message, options),
      interrupt: () => {},
      idleTimeouts: () => ({}),
      onDeath: () => () => {},
      close: () => Promise.resolve(),
    };
  }

  runExclusive<T>(fn: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => (this.#thread ? fn() : this.#afterBoot(fn)));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #afterBoot<T>(fn: () => Promise<T>): Promise<T> {
    if (this.#closing) throw new Error("the engine is closed");
    this.#booting ??= this.#revive();
    await this.#booting;
    return fn();
  }

  async execProtocolRawStream(message: EngineInput, options: ExecOptions): Promise<void> {
    const thread = this.#thread;
    if (!thread) throw new Error("the engine is closed");
    this.remember(message);
    this.#current = options;
    const running = thread.exec(message, options);
    if (thread.running !== 0) this.watch();
    await running;
  }

  interrupt(stillWanted: () => boolean): void {
    const thread = this.#thread;
    const run = thread?.running ?? 0;
    if (!thread || run === 0) return;
    const isWanted = (): boolean => thread.running === run && stillWanted();
    this.insist(thread, run, isWanted, () => thread.interrupt(run, isWanted, (interrupts) => interrupts.cancelQuery()));
  }

  /** Calls `cancel` again and again while it is wanted. A thread whose run does not listen to it for long is replaced. */
  protected insist(
    thread: EngineThread | SessionThread,
    run: number,
    isWanted: () => boolean,
    cancel: () => void,
  ): void {
    let since = performance.now();
    const { stuckAfterMs = defaultStuckAfterMs } = this.#options;
    const attempt = (): void => {
      if (!thread.isAlive || !isWanted()) return;
      cancel();
      if (!isWanted()) return;
      // A session that waits for its turn cannot listen; nor can one that is held up by a reader that takes nothing.
      if (thread.running !== run || thread.isHeldUp) since = performance.now();
      if (performance.now() - since > stuckAfterMs) {
        void thread.fail(new Error(`a statement went on for ${stuckAfterMs} ms after it was cancelled`));
        return;
      }
      // PostgreSQL ignores a cancel that comes while it still reads the statement.
      setTimeout(attempt, watchIntervalMs);
    };
    attempt();
  }

  /** The engine thread that can start sessions now; undefined while there is none. */
  protected get sessions(): SessionThread | undefined {
    return this.#thread instanceof SessionThread ? this.#thread : undefined;
  }

  /** From now on what runs is looked at. */
  protected watch(): void {
    this.#watch ??= setTimeout(() => this.#look(), watchIntervalMs);
  }

  idleTimeouts(): IdleTimeouts {
    const interrupts = this.#thread?.interrupts;
    if (!interrupts) return {};
    const whole = (timeout: Timeout) =>
      interrupts.remainingMs(timeout) === undefined ? undefined : interrupts.lengthMs(timeout);
    const sessionMs = whole(Timeout.idleSession);
    const inTransactionMs = whole(Timeout.idleInTransactionSession);
    const transactionMs = interrupts.remainingMs(Timeout.transaction);
    return {
      ...(sessionMs === undefined ? {} : { sessionMs }),
      ...(inTransactionMs === undefined ? {} : { inTransactionMs }),
      ...(transactionMs === undefined ? {} : { transactionMs }),
    };
  }

  onDeath(listener: (death: EngineDeath) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#booting?.catch(() => {});
    const thread = this.#booted;
    if (!thread) return;
    this.interrupt(() => true);
    if (!(await within(closeTimeoutMs, thread.idle()))) this.#log("error", "closing: a statement did not end");
    this.#thread = undefined;
    const closed = thread.close().catch((error: Error) => {
      this.#log("error", `closing: ${error.message}; the next start will recover from the log`);
    });
    if (!(await within(closeTimeoutMs, closed))) {
      this.#log("error", "closing: PostgreSQL did not shut down in time; it will recover from its log");
      await thread.kill();
    }
  }

  // The engine has no clock of its own: what PostgreSQL would be told by SIGALRM it is told from here.
  #look(): void {
    this.#watch = undefined;
    const thread = this.#thread;
    if (!thread?.isBusy) return;
    this.#watch = setTimeout(() => this.#look(), watchIntervalMs);
    const run = thread.running;
    if (run === 0) return;
    const { interrupts } = thread;
    for (const timeout of [Timeout.lock, Timeout.statement]) {
      if (interrupts.isOver(timeout)) thread.expire(run, timeout);
    }
    if (!interrupts.isOver(Timeout.transaction)) return;
    if (thread instanceof SessionThread) thread.expire(run);
    else {
      const options = this.#current;
      this.#current = undefined;
      options?.onTransactionTimeout?.();
      if (options) this.interrupt(() => thread.running === run);
    }
  }

  // Before the run is rejected: who listens must know first.
  #onDeathOf(thread: EngineThread | SessionThread, cause: unknown): void {
    if (this.#thread !== thread || this.#closing) return;
    this.#thread = undefined;
    const runs = this.#recent.splice(0).map((bytes) => `  ${describeMessages(bytes)}`);
    this.#log("error", `the engine died: ${describe(cause)}\nits last runs, the newest last:\n${runs.join("\n")}`);
    const consequence = this.#options.restore
      ? "The database was in memory: it starts again from its migrations and seed."
      : "It recovers from its log; what was committed is still there.";
    for (const listener of this.#listeners) listener({ cause, consequence });
    this.#booting ??= this.#revive();
    // Whoever needs the engine next sees why there is none.
    this.#booting.catch(() => {});
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

  /** Keeps the beginning of what is sent, for the log of a death. */
  protected remember(message: EngineInput): void {
    this.#recent.push(Buffer.from(message.subarray(0, Math.min(message.length, rememberedBytes))));
    if (this.#recent.length > rememberedRuns) this.#recent.shift();
  }

  #log(level: "error" | "info" | "debug", line: string): void {
    this.#options.log?.(level, line);
  }
}

/** The same for an engine that has a session for each client. */
class SessionSupervisor extends Supervisor {
  override readonly databases = undefined;

  openSession(processId: number, parameters: ReadonlyMap<string, string>, events: SessionEvents): EngineSession {
    const thread = this.sessions;
    if (!thread) throw new Error("the engine is starting again");
    // What the start itself used would be seen by the clients.
    void thread.closeOwn();
    const session = thread.open(processId, parameters, events);
    const { send, interrupt } = session;
    session.send = (bytes) => {
      this.remember(bytes);
      this.watch();
      return send.call(session, bytes);
    };
    session.interrupt = (isWanted) => this.insist(thread, processId, isWanted, () => interrupt.call(session, isWanted));
    return session;
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

async function within(limitMs: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  const inTime = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return inTime;
}
