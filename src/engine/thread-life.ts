/**
 * The life of an engine thread with one session for all, seen from the main thread: its boot, its wake-ups, its end.
 *
 * Owns: the worker and its channel. Does not own: what goes through the channel (`engine-thread.ts`), or what follows a death
 * (`keeper.ts`). Invariant: the state has one owner, here; `gone` is called once.
 */
import { Worker } from "node:worker_threads";
import { allocateChannel, MainChannel, RecordKind } from "./channel.ts";
import type { OwnedDirectory } from "./directory-ownership.ts";
import type { FoundExtension } from "./extensions.ts";
import { tellOfSlowStart } from "./slow-start.ts";
import { Interrupts } from "./thread/interrupts.ts";
import { stackMb } from "./thread/native-stack.ts";
import type { ThreadMessage, ThreadOptions } from "./thread/protocol.ts";

/** What an engine thread boots. */
export interface EngineThreadOptions {
  /** A directory, or `memory://`. */
  readonly dataDir: string;
  /** Whether a COMMIT in a directory waits for the disk; by default not. */
  readonly fsync?: boolean;
  /** The directory as it was locked; absent in memory, and in tests of the engine alone. */
  readonly directory?: OwnedDirectory;
  readonly extensions: readonly FoundExtension[];
  /** After how long a start says why it takes long, in ms. */
  readonly slowStartMs?: number;
  /** V8's stack for it, in MiB. */
  readonly stackSizeMb?: number;
  /** Receives what a person should know. */
  readonly log?: (level: "error" | "info" | "debug", line: string) => void;
}

/** What one boot has of its own. */
export interface BootCircumstances {
  /** Whether an empty directory gets a new database: never where there has been one already. */
  readonly mayInitialize: boolean;
}

/** What both kinds of threads are started with. */
export function threadOptions(options: EngineThreadOptions & BootCircumstances): ThreadOptions {
  const { dataDir, fsync = false, directory, mayInitialize, extensions } = options;
  return { dataDir, fsync, ...(directory ? { identity: directory.identity } : {}), mayInitialize, extensions };
}

/** Is told when a thread has ended without having been told to, before its runs are rejected. */
export type OnDeath<T> = (thread: T, cause: unknown) => void;

/**
 * The thread's bundle; from sources, too: Node runs TypeScript as it is, but not that of a package, as the socket library is.
 */
export const engineThreadUrl = new URL(
  import.meta.url.endsWith(".ts") ? "../../dist/engine-thread.js" : "./engine-thread.js",
  import.meta.url,
);

// How long the event loop stays awake after an answer, in ms: at most, and at least.
const longestGapMs = 1;
const shortestWatchMs = 0.05;

/** The life of one thread. */
export abstract class ThreadLife {
  /** Resolves when the thread has ended; never rejects. */
  readonly ended: Promise<void>;
  /** Set by the boot. */
  interrupts!: Interrupts;
  protected readonly channel: MainChannel;
  readonly #worker: Worker;
  #state: "booting" | "alive" | "closing" | "ended" = "booting";
  readonly #log: EngineThreadOptions["log"];
  readonly #endOfStart: () => void;
  #booted: () => void = () => {};
  #failed: (cause: unknown) => void = () => {};
  #closeError: Error | undefined;

  protected constructor(options: EngineThreadOptions & BootCircumstances) {
    const memory = allocateChannel();
    const { stackSizeMb = stackMb } = options;
    this.#log = options.log;
    this.channel = new MainChannel(memory);
    this.#endOfStart = tellOfSlowStart(options);
    const workerData: ThreadOptions = { ...threadOptions(options), channel: memory };
    this.#worker = new Worker(engineThreadUrl, {
      workerData,
      name: "pglite-devdb engine",
      resourceLimits: { stackSizeMb },
    });
    this.#worker.on("message", (message: ThreadMessage) => this.#onMessage(message));
    this.#worker.once("error", (error: Error) => {
      if (this.#state === "closing") this.#closeError = error;
      this.#end(error);
    });
    this.ended = new Promise((resolve) => {
      this.#worker.once("exit", (code) => {
        this.#end(new Error(`the engine thread ended with code ${code}`));
        resolve();
      });
    });
  }

  /** Moves what can be moved, in both directions. */
  protected abstract pump(): void;
  /** The thread is no more: what waits for it must not wait any longer. */
  protected abstract gone(cause: unknown): void;
  /** Tells whoever has to know before `gone`. */
  protected abstract died(cause: unknown): void;

  /** Resolves when its PostgreSQL answers; rejects with why it does not, and then nothing is left of it. */
  protected booted(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#booted = resolve;
      this.#failed = reject;
    });
  }

  get isAlive(): boolean {
    return this.#state === "alive";
  }

  #onMessage(message: ThreadMessage): void {
    if (message.kind === "wake") {
      this.channel.onWake();
      this.pump();
    }
    if (message.kind === "log") this.#log?.("error", message.text);
    if (message.kind === "ready") {
      this.interrupts = new Interrupts(message.memory, message.addresses);
      this.#state = "alive";
      this.#endOfStart();
      this.#booted();
    }
  }

  /**
   * To be called when something was asked of the engine (`asked`) and when it was answered: between an answer and the
   * next question the event loop does not sleep, if they have lately come soon, but looks again and again for both. A core
   * that sleeps takes long to wake.
   */
  protected stayAwake(asked: boolean): void {
    const now = performance.now();
    if (asked) {
      const gap = Math.min(now - this.#answeredAt, 2 * longestGapMs);
      this.#typicalGapMs += (gap - this.#typicalGapMs) / 8;
      return;
    }
    this.#answeredAt = now;
    const budget = 2 * this.#typicalGapMs + shortestWatchMs;
    if (budget > longestGapMs) return;
    this.#awakeUntil = now + budget;
    this.#watch ??= setImmediate(this.#look);
  }

  #answeredAt = 0;
  #typicalGapMs = 0;
  #awakeUntil = 0;
  #watch: NodeJS.Immediate | undefined;
  readonly #look = (): void => {
    this.#watch = performance.now() < this.#awakeUntil ? setImmediate(this.#look) : undefined;
    this.pump();
  };

  /** Tells PostgreSQL to checkpoint and end, when nothing runs. Settled when the thread is gone; rejects if that failed. */
  async close(): Promise<void> {
    if (this.#state === "alive") {
      this.#state = "closing";
      this.channel.send(RecordKind.close, 0);
    }
    await this.ended;
    if (this.#closeError) throw this.#closeError;
  }

  /** Ends the thread at once, whatever it does. */
  async kill(): Promise<void> {
    if (this.#state !== "ended") this.#state = "closing";
    await this.#worker.terminate();
  }

  /** As if it had died of `cause`. */
  async fail(cause: unknown): Promise<void> {
    this.#end(cause);
    await this.#worker.terminate();
  }

  #end(cause: unknown): void {
    if (this.#state === "ended") return;
    const before = this.#state;
    this.#endOfStart();
    this.#state = "ended";
    if (before === "alive") this.died(cause);
    this.#failed(cause);
    this.gone(cause);
  }
}
