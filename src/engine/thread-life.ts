/**
 * The life of an engine thread, seen from the main thread: its boot, its wake-ups, its end.
 *
 * Owns: the worker and its channel. Does not own: what goes through the channel (`engine-thread.ts`, `session-thread.ts`),
 * or what follows a death (`supervisor.ts`). Invariant: the state has one owner, here; `gone` is called once.
 */
import { Worker } from "node:worker_threads";
import { SessionsUnavailableError } from "../errors.ts";
import { allocateChannel, MainChannel, RecordKind } from "./channel.ts";
import type { FoundExtension } from "./extensions.ts";
import { Interrupts } from "./thread/interrupts.ts";
import type { ThreadMessage, ThreadOptions } from "./thread/protocol.ts";

/** What an engine thread boots. */
export interface EngineThreadOptions {
  /** A directory, or `memory://`. */
  readonly dataDir: string;
  /** Whether a COMMIT in a directory waits for the disk; by default not. */
  readonly fsync?: boolean;
  readonly extensions: readonly FoundExtension[];
  /** One PostgreSQL session for each client, that many at once; absent: one for all. */
  readonly maxSessions?: number;
  /** Receives what a person should know. */
  readonly log?: (level: "error" | "info" | "debug", line: string) => void;
}

/** Is told when a thread has ended without having been told to, before its runs are rejected. */
export type OnDeath<T> = (thread: T, cause: unknown) => void;

// From sources this module is TypeScript, which Node runs as it is; the bundle has the thread in a file of its own.
const threadUrl = new URL(import.meta.url.endsWith(".ts") ? "./thread/main.ts" : "./engine-thread.js", import.meta.url);

// The native stack under WebAssembly's own. PostgreSQL refuses deep recursion (54001) by the depth of the latter, which
// it must reach first. Only what is used of it costs memory.
const stackSizeMb = 64;

// How long the event loop stays awake after an answer, in ms: at most, and at least.
const longestGapMs = 1;
const shortestWatchMs = 0.05;

/** What both kinds of engine threads have in common. */
export abstract class ThreadLife {
  /** Resolves when the thread has ended; never rejects. */
  readonly ended: Promise<void>;
  /** Set by the boot. */
  interrupts!: Interrupts;
  protected readonly channel: MainChannel;
  readonly #worker: Worker;
  readonly #log: EngineThreadOptions["log"];
  #state: "booting" | "alive" | "closing" | "ended" = "booting";
  /** See `ThreadOptions`. */
  readonly #checking = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  #checkWatch: NodeJS.Timeout | undefined;
  #booted: () => void = () => {};
  #failed: (cause: unknown) => void = () => {};
  #closeError: Error | undefined;

  protected constructor(options: EngineThreadOptions) {
    const memory = allocateChannel();
    const { dataDir, fsync = false, extensions, maxSessions } = options;
    const workerData: ThreadOptions = {
      channel: memory,
      dataDir,
      fsync,
      extensions,
      checking: this.#checking,
      ...(maxSessions === undefined ? {} : { maxSessions }),
    };
    this.#log = options.log;
    this.channel = new MainChannel(memory);
    this.#worker = new Worker(threadUrl, { workerData, name: "pglite-devdb engine", resourceLimits: { stackSizeMb } });
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
    if (message.kind === "checking") this.#watchCheck(message.step, message.limitMs);
    if (message.kind === "checked") {
      clearTimeout(this.#checkWatch);
      if (message.wasTried)
        this.#log?.("debug", "PGlite's WebAssembly is an unknown one: isolated sessions passed the self-check");
    }
    if (message.kind === "ready") {
      this.interrupts = new Interrupts(message.memory, message.addresses);
      this.#state = "alive";
      this.#booted();
    }
  }

  #watchCheck(step: string, limitMs: number): void {
    clearTimeout(this.#checkWatch);
    if (!this.#isChecking) return;
    this.#checkWatch = setTimeout(() => {
      if (this.#isChecking) void this.fail(new Error(`it did not get past ${step} within ${limitMs / 1000} s`));
    }, limitMs);
  }

  get #isChecking(): boolean {
    return this.#state === "booting" && Atomics.load(this.#checking, 0) === 1;
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
    this.lookAgain();
  }

  /** Has `pump` called in the event loop's next turn. */
  protected lookAgain(): void {
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

  /** Whether `pump` will be called again by the event loop's next turn. */
  protected get isAwake(): boolean {
    return this.#watch !== undefined;
  }

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
    const reported = this.#isChecking ? sessionsUnavailable(cause) : cause;
    this.#state = "ended";
    clearTimeout(this.#checkWatch);
    if (before === "alive") this.died(cause);
    this.#failed(reported);
    this.gone(cause);
  }
}

function sessionsUnavailable(cause: unknown): SessionsUnavailableError {
  // Emscripten throws things that are no errors.
  const reason = String((cause as { readonly message?: unknown } | undefined)?.message ?? cause);
  return new SessionsUnavailableError(`isolated sessions failed their self-check with this PGlite: ${reason}`, {
    cause,
  });
}
