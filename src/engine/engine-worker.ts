/**
 * An engine thread, seen from the main thread: its boot, what it is asked, its end.
 *
 * Owns: the worker, and the requests that it has not answered. Does not own: its clients, which it serves itself
 * (`../thread/`), or what follows a death (`kept-engine.ts`).
 * Invariant: the state has one owner, here; every request is settled: with an answer, or with what the thread died of.
 */
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { defaultMemoryLimit } from "../cluster/memory-budget.ts";
import { SessionsUnavailableError } from "../errors.ts";
import { limits } from "../limits.ts";
import { stackMb } from "../sessions/native-stack.ts";
import { packError, unpackError } from "../system/sent-error.ts";
import type { OwnedDirectory } from "./data-directory/directory-ownership.ts";
import type { EngineDeath, ExecOptions, StatementOwner } from "./engine.ts";
import type { FoundExtension } from "./extensions.ts";
import type { PerGitBranch } from "./git-branch.ts";
import { tellOfSlowStart } from "./slow-start.ts";
import type { ThreadMessage, ThreadOptions, ThreadRequest, ThreadRequests } from "./thread/protocol.ts";
import { allocateTurns } from "./thread/turn-words.ts";
import { within } from "./within.ts";

/** What an engine thread boots. */
export interface EngineThreadOptions {
  /** A directory, or `memory://`. */
  readonly dataDir: string;
  /** Whether a COMMIT in a directory waits for the disk; by default not. */
  readonly fsync?: boolean;
  /** The most that the files of a database in memory may take; by default a share of the memory that there is. */
  readonly memoryLimitBytes?: number | undefined;
  /** The directory as it was locked; absent in memory, and in tests of the engine alone. */
  readonly directory?: OwnedDirectory;
  readonly extensions: readonly FoundExtension[];
  /** PostgreSQL's settings, by name, beside those that the product needs. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Whether the user's cache is read and written; by default it is. */
  readonly cache?: boolean;
  /** One PostgreSQL session for each client, that many at once; absent: one for all. */
  readonly maxSessions?: number;
  /** How long one of them may idle in a transaction while another waits for its locks, in ms; 0, the default, is for ever. */
  readonly transactionIdleTimeoutMs?: number;
  /** Whether a branch is made when somebody first connects to it. */
  readonly makesBranches?: boolean;
  /** How long a branch is kept to which nobody is connected, in ms; 0, the default, is for ever. */
  readonly branchTtlMs?: number;
  readonly perGitBranch?: PerGitBranch | undefined;
  /** What random numbers begin with; absent: they are random. */
  readonly seedRandom?: number | undefined;
  /** How long a statement may keep all others waiting before the log says so, in ms. */
  readonly deafAfterMs?: number;
  /** After how long a start says why it takes long, in ms. */
  readonly slowStartMs?: number;
  /** V8's stack for it, in MiB. */
  readonly stackSizeMb?: number;
  /** When it is aborted nobody waits for a boot any more. One that has come as far as PostgreSQL goes on to its end. */
  readonly signal?: AbortSignal;
  /** Receives what a person should know. */
  readonly log?: (level: "error" | "info" | "debug", line: string) => void;
}

/** What one boot has of its own. */
export interface BootCircumstances {
  /** Whether an empty directory gets a new database: never where there has been one already. */
  readonly mayInitialize: boolean;
}

interface EngineWorkerOptions extends EngineThreadOptions, BootCircumstances {
  /** What its death means for the data; for the clients, a sentence. */
  readonly consequence: string;
}

/** Who is told what of a thread. */
interface EngineWorkerEvents {
  /** It has died without having been told to end; before its requests are rejected. `runs`: what clients sent last. */
  onDeath(worker: EngineWorker, cause: unknown, runs: readonly string[]): void;
  /** What a listener has to say to a person. */
  onLine(listener: number, line: string, level: "info" | "debug"): void;
  /** Everybody has waited for a statement for `ms`. */
  onDeaf(owner: StatementOwner, ms: number): void;
}

/** The thread's bundle; from sources, too: Node runs TypeScript as it is, but not that of a package, as the socket library is. */
const threadUrl = new URL(
  import.meta.url.endsWith(".ts") ? "../../dist/engine-thread.js" : "./engine-thread.js",
  import.meta.url,
);

const defaultDeafAfterMs = 10_000;

interface Pending {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** A running engine thread. */
export class EngineWorker {
  /** Resolves when the thread has ended; never rejects. */
  readonly ended: Promise<void>;
  readonly #worker: Worker;
  readonly #events: EngineWorkerEvents;
  readonly #log: EngineThreadOptions["log"];
  readonly #endOfStart: () => void;
  readonly #pending = new Map<number, Pending>();
  readonly #turns = allocateTurns();
  /** See `IsolatedOptions`. */
  readonly #checking = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  #state: "booting" | "alive" | "closing" | "dead" = "booting";
  #isFailing = false;
  #hasDied: () => void = () => {};
  readonly #died = new Promise<void>((resolve) => {
    this.#hasDied = resolve;
  });
  #requests = 0;
  #checkWatch: NodeJS.Timeout | undefined;
  #booted!: Pending;

  private constructor(options: EngineWorkerOptions, events: EngineWorkerEvents) {
    const { deafAfterMs = defaultDeafAfterMs, stackSizeMb = stackMb } = options;
    const { port1: deaf, port2: reports } = new MessageChannel();
    deaf.on("message", (owner: StatementOwner) => events.onDeaf(owner, deafAfterMs));
    deaf.unref();
    this.#events = events;
    this.#log = options.log;
    this.#endOfStart = tellOfSlowStart(options);
    this.#worker = new Worker(threadUrl, {
      workerData: this.#threadOptions(options, reports, deafAfterMs),
      name: "pglite-devdb engine",
      resourceLimits: { stackSizeMb },
      transferList: [reports],
    });
    this.#worker.on("message", (message: ThreadMessage) => this.#onMessage(message));
    this.#worker.once("error", (error: Error) => this.#die(error));
    this.ended = new Promise((resolve) => {
      this.#worker.once("exit", (code) => {
        deaf.close();
        this.#die(new Error(`the engine thread ended with code ${code}`));
        resolve();
      });
    });
  }

  #threadOptions(options: EngineWorkerOptions, reports: MessagePort, deafAfterMs: number): ThreadOptions {
    const { dataDir, fsync = false, directory, mayInitialize, extensions, settings = {}, consequence } = options;
    const {
      maxSessions,
      transactionIdleTimeoutMs = 0,
      makesBranches = false,
      branchTtlMs = 0,
      perGitBranch,
      cache = true,
      seedRandom,
      memoryLimitBytes = defaultMemoryLimit(),
    } = options;
    return {
      ...{
        dataDir,
        fsync,
        memoryLimitBytes,
        mayInitialize,
        extensions,
        settings,
        cache,
        consequence,
        turns: this.#turns,
        reports,
        deafAfterMs,
      },
      ...(directory ? { identity: directory.identity } : {}),
      ...(maxSessions === undefined
        ? {}
        : {
            isolated: {
              maxSessions,
              transactionIdleTimeoutMs,
              makesBranches,
              branchTtlMs,
              perGitBranch,
              seedRandom,
              checking: this.#checking,
            },
          }),
    };
  }

  /** Starts a thread and resolves when it takes requests. Rejects with why it did not; then nothing is left of it. */
  static async boot(options: EngineWorkerOptions, events: EngineWorkerEvents): Promise<EngineWorker> {
    const worker = new EngineWorker(options, events);
    const abandon = () => worker.#worker.postMessage({ kind: "abandon" } satisfies ThreadRequest);
    if (options.signal?.aborted) abandon();
    options.signal?.addEventListener("abort", abandon);
    try {
      await new Promise((resolve, reject) => {
        worker.#booted = { resolve, reject };
      });
    } finally {
      options.signal?.removeEventListener("abort", abandon);
    }
    return worker;
  }

  /** Asks it for something; a call that crosses threads. */
  ask<Kind extends keyof ThreadRequests>(
    kind: Kind,
    ...parameters: Parameters<ThreadRequests[Kind]>
  ): Promise<ReturnType<ThreadRequests[Kind]>> {
    if (this.#state !== "alive") return Promise.reject(new Error("the engine is closed"));
    const id = ++this.#requests;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as Pending["resolve"], reject });
      this.#worker.postMessage({ kind, id, parameters } as ThreadRequest);
    });
  }

  /** Has it stop listening there. */
  stopListening(listener: number): Promise<void> {
    return this.ask("stopListening", listener);
  }

  /** Runs frontend messages of the process's own; one call at a time. */
  async exec(messages: Uint8Array, { onRawData }: ExecOptions): Promise<void> {
    onRawData(await this.ask("execute", messages));
  }

  get isAlive(): boolean {
    return this.#state === "alive";
  }

  /** Tells one that has died, and may still be able to tell its clients, that its addresses are held, and what to say. */
  held(farewell: EngineDeath["farewell"]): void {
    this.#worker.postMessage({ kind: "held", ...(farewell ? { farewell } : {}) } satisfies ThreadRequest);
  }

  /** As if it had died of `cause`; what it does is ended in any case, after a moment for it to tell its clients. */
  async fail(cause: unknown): Promise<void> {
    this.#worker.postMessage({ kind: "fail", cause: packError(cause) } satisfies ThreadRequest);
    this.#isFailing = true;
    // It says itself that it is dying, and what ran last, unless it computes.
    await within(limits.heldMs, this.#died);
    this.#die(cause);
    await this.kill();
  }

  /** Tells PostgreSQL to end all sessions, to checkpoint and to end. Settled when the thread is gone; rejects if that failed. */
  async close(): Promise<void> {
    if (this.#state !== "alive") return this.ended;
    const closed = this.ask("close");
    this.#state = "closing";
    try {
      await closed;
    } finally {
      await this.ended;
    }
  }

  /** Ends the thread, whatever it does: at once, unless it is dying. */
  async kill(): Promise<void> {
    // One that dies may be telling its clients why.
    if (this.#state === "dead" || this.#isFailing) await within(limits.lastWordsMs, this.ended);
    else this.#state = "closing";
    await this.#worker.terminate();
  }

  #onMessage(message: ThreadMessage): void {
    if (message.kind === "serving") {
      this.#state = "alive";
      this.#endOfStart();
      this.#booted.resolve(undefined);
    }
    if (message.kind === "answer") this.#settle(message);
    if (message.kind === "line") this.#events.onLine(message.listener, message.line, message.level);
    if (message.kind === "log") this.#log?.(message.level, message.text);
    if (message.kind === "dying") this.#die(unpackError(message.cause), message.runs);
    if (message.kind === "checking") this.#watchCheck(message.step, message.limitMs);
    if (message.kind === "checked") {
      clearTimeout(this.#checkWatch);
      if (message.wasTried)
        this.#log?.("debug", "PGlite's WebAssembly is an unknown one: isolated sessions passed the self-check");
      if (message.hasKeptCode) this.#log?.("debug", "PostgreSQL starts with the compiled code in the cache");
    }
    if (message.kind === "restored") this.#log?.("debug", "PostgreSQL starts from the snapshot in the cache");
  }

  #settle({ id, value, error }: Extract<ThreadMessage, { kind: "answer" }>): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (error) pending?.reject(unpackError(error));
    else pending?.resolve(value);
  }

  #watchCheck(step: string, limitMs: number): void {
    clearTimeout(this.#checkWatch);
    if (!this.#isChecking) return;
    this.#checkWatch = setTimeout(() => {
      if (!this.#isChecking) return;
      this.#die(new Error(`it did not get past ${step} within ${limitMs / 1000} s`));
      void this.#worker.terminate();
    }, limitMs);
  }

  get #isChecking(): boolean {
    return this.#state === "booting" && Atomics.load(this.#checking, 0) === 1;
  }

  #die(cause: unknown, runs: readonly string[] = []): void {
    if (this.#state === "dead") return;
    const before = this.#state;
    const reported = this.#isChecking ? sessionsUnavailable(cause) : cause;
    this.#state = "dead";
    this.#hasDied();
    this.#endOfStart();
    clearTimeout(this.#checkWatch);
    if (before === "alive") this.#events.onDeath(this, cause, runs);
    this.#booted?.reject(reported);
    for (const { reject } of this.#pending.values()) reject(cause);
    this.#pending.clear();
  }
}

function sessionsUnavailable(cause: unknown): SessionsUnavailableError {
  // Emscripten throws things that are no errors.
  const reason = String((cause as { readonly message?: unknown } | undefined)?.message ?? cause);
  return new SessionsUnavailableError(`isolated sessions failed their self-check with this PGlite: ${reason}`, {
    cause,
  });
}
