/**
 * The engine as the rest of the project gets it; and one that has one session for all: turns, cancelling, timeouts.
 *
 * Owns: which kind of engine is opened, and watching over what runs in a shared session. Does not own: the thread and its
 * bytes (`engine-thread.ts`), death and rebirth (`keeper.ts`), or who runs next (the queue).
 */
import { SessionsUnavailableError } from "../errors.ts";
import type { Engine, EngineInput, ExecOptions, IdleTimeouts, StatementOwner } from "./engine.ts";
import { EngineThread } from "./engine-thread.ts";
import { IsolatedEngine } from "./isolated-engine.ts";
import { type EngineOptions, Keeper } from "./keeper.ts";
import { RecentRuns } from "./recent-runs.ts";
import { Timeout } from "./thread/interrupts.ts";
import { canPark } from "./thread/wasm/web-assembly.ts";
import type { BootCircumstances } from "./thread-life.ts";

export type { EngineOptions } from "./keeper.ts";

// How often a statement that runs on is looked at, in ms: its timeouts, and a cancel that it has not seen yet.
const watchIntervalMs = 5;
const defaultDeafAfterMs = 10_000;

/**
 * Boots PGlite on a thread and resolves when it answers. Rejects with what kept it from that, and leaves nothing open:
 * with a `SessionsUnavailableError` when it would have booted without `maxSessions`.
 * Without `maxSessions` the only database it serves is `postgres`, the one that PGlite connects to.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { maxSessions } = options;
  if (maxSessions !== undefined && !canPark()) {
    const needs = "isolated sessions need Node 24 or later (WebAssembly JSPI)";
    throw new SessionsUnavailableError(`${needs}, this is Node ${process.version}`);
  }
  const engine = maxSessions === undefined ? new Supervisor(options) : new IsolatedEngine({ ...options, maxSessions });
  await engine.waitReady;
  return engine;
}

/** A cancel that has not been heard yet. */
interface Insistence {
  readonly thread: EngineThread;
  readonly isWanted: () => boolean;
  readonly cancel: () => void;
  readonly whose: StatementOwner | undefined;
}

class Supervisor extends Keeper<EngineThread> {
  readonly databases: readonly string[] | undefined = ["postgres"];
  #current: ExecOptions | undefined;
  #watch: NodeJS.Timeout | undefined;
  readonly #recent = new RecentRuns();

  protected bootThread(circumstances: BootCircumstances): Promise<EngineThread> {
    return EngineThread.boot({ ...this.options, ...circumstances }, (dead, cause) => {
      this.died(dead, cause, this.#recent.take());
    });
  }

  protected alone(thread: EngineThread): Pick<Engine, "execProtocolRawStream" | "databases"> {
    return {
      databases: this.databases,
      execProtocolRawStream: (message, options) => thread.exec(message, options),
    };
  }

  // Its clients are the main thread's.
  protected async replaced(): Promise<void> {}

  protected quiesce(thread: EngineThread): Promise<void> {
    this.interrupt(() => true);
    return thread.idle();
  }

  async execProtocolRawStream(message: EngineInput, options: ExecOptions): Promise<void> {
    const { thread } = this;
    if (!thread) throw new Error("the engine is closed");
    this.#recent.add(message);
    this.#current = options;
    const running = thread.exec(message, options);
    if (thread.running !== 0) this.#watch ??= setTimeout(() => this.#look(), watchIntervalMs);
    await running;
  }

  interrupt(stillWanted: () => boolean, whose?: StatementOwner): void {
    const { thread } = this;
    const run = thread?.running ?? 0;
    if (!thread || run === 0) return;
    const isWanted = (): boolean => thread.running === run && stillWanted();
    const cancel = () => thread.interrupt(run, isWanted, (interrupts) => interrupts.cancelQuery());
    this.#insist({ thread, isWanted, cancel, whose });
  }

  /**
   * Calls `cancel` again and again while it is wanted. A statement that does not look for interrupts goes on, as it does in
   * PostgreSQL, and so does the engine: the log says which one it is that all others wait for.
   */
  #insist({ thread, isWanted, cancel, whose }: Insistence): void {
    let since = performance.now();
    let isLogged = false;
    const { deafAfterMs = defaultDeafAfterMs } = this.options;
    const attempt = (): void => {
      if (!thread.isAlive || !isWanted()) return;
      cancel();
      if (!isWanted()) return;
      // One that is held up by a reader that takes nothing cannot listen.
      if (thread.isHeldUp) since = performance.now();
      if (performance.now() - since > deafAfterMs && !isLogged) {
        isLogged = true;
        this.log("info", describeDeafness(deafAfterMs, whose));
      }
      // PostgreSQL ignores a cancel that comes while it still reads the statement.
      setTimeout(attempt, watchIntervalMs);
    };
    attempt();
  }

  idleTimeouts(): IdleTimeouts {
    const interrupts = this.thread?.interrupts;
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

  // The engine has no clock of its own: what PostgreSQL would be told by SIGALRM it is told from here.
  #look(): void {
    this.#watch = undefined;
    const { thread } = this;
    if (!thread?.isBusy) return;
    this.#watch = setTimeout(() => this.#look(), watchIntervalMs);
    const run = thread.running;
    if (run === 0) return;
    const { interrupts } = thread;
    for (const timeout of [Timeout.lock, Timeout.statement]) {
      if (interrupts.isOver(timeout)) thread.expire(run, timeout);
    }
    if (!interrupts.isOver(Timeout.transaction)) return;
    const options = this.#current;
    this.#current = undefined;
    options?.onTransactionTimeout?.();
    if (options) this.interrupt(() => thread.running === run);
  }
}

function describeDeafness(ms: number, whose: StatementOwner | undefined): string {
  const { processId, applicationName, statement } = whose ?? {};
  const owner = whose ? `process ${processId} (application_name "${applicationName}"): "${statement}"` : "a statement";
  return `${owner} goes on ${ms / 1000} s after it was cancelled; it does not check for that yet, and the others wait for it`;
}
