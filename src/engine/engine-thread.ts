/**
 * One engine thread, seen from the main thread: from its boot to its end.
 *
 * Owns: the worker, its channel, and the run that is in it. Does not own: what follows its death, or who may run next
 * (`supervisor.ts`). Invariant: every run ends: with its answer, or, when the thread dies, with the error that it died of.
 */
import { Worker } from "node:worker_threads";
import { allocateChannel, MainChannel, RecordKind } from "./channel.ts";
import type { EngineInput, ExecOptions } from "./engine.ts";
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
}

interface Run {
  readonly number: number;
  readonly input: EngineInput;
  /** How much of the input the channel has taken. */
  written: number;
  inputEnded: boolean;
  readonly options: ExecOptions;
  /** The first error of `onRawData` or of the input; the engine is drained all the same. */
  failure: { readonly error: unknown } | undefined;
  resolve: () => void;
  reject: (error: unknown) => void;
}

// From sources this module is TypeScript, which Node runs as it is; the bundle has the thread in a file of its own.
const threadUrl = new URL(import.meta.url.endsWith(".ts") ? "./thread/main.ts" : "./engine-thread.js", import.meta.url);

// The native stack under WebAssembly's own. PostgreSQL refuses deep recursion (54001) by the depth of the latter, which
// it must reach first. Only what is used of it costs memory.
const stackSizeMb = 64;

/** A running engine thread. */
export class EngineThread {
  /** Resolves when the thread has ended; never rejects. */
  readonly ended: Promise<void>;
  /** Set by the boot. */
  interrupts!: Interrupts;
  readonly #worker: Worker;
  readonly #channel: MainChannel;
  #run: Run | undefined;
  #runs = 0;
  readonly #onDeath: (thread: EngineThread, cause: unknown) => void;
  #state: "booting" | "alive" | "closing" | "ended" = "booting";
  #held = false;
  #whenIdle: (() => void)[] = [];

  private constructor(options: EngineThreadOptions, onDeath: (thread: EngineThread, cause: unknown) => void) {
    this.#onDeath = onDeath;
    const memory = allocateChannel();
    const { dataDir, fsync = false, extensions } = options;
    const workerData: ThreadOptions = { channel: memory, dataDir, fsync, extensions };
    this.#channel = new MainChannel(memory);
    this.#worker = new Worker(threadUrl, { workerData, name: "pglite-devdb engine", resourceLimits: { stackSizeMb } });
    this.ended = new Promise((resolve) => {
      this.#worker.once("exit", (code) => {
        this.#end(new Error(`the engine thread ended with code ${code}`));
        resolve();
      });
    });
  }

  /**
   * Starts a thread and resolves when its PostgreSQL answers. Rejects with why it did not; then nothing is left of it.
   * `onDeath` is called when it ends later without having been told to, before its run is rejected.
   */
  static boot(
    options: EngineThreadOptions,
    onDeath: (thread: EngineThread, cause: unknown) => void,
  ): Promise<EngineThread> {
    return new Promise((resolve, reject) => {
      const thread = new EngineThread(options, onDeath);
      thread.#worker.on("message", (message: ThreadMessage) => thread.#onMessage(message));
      thread.#worker.once("error", (error) => {
        reject(error);
        thread.#end(error);
      });
      void thread.ended.then(() => reject(new Error("the engine thread ended while it booted")));
      thread.#booted = () => resolve(thread);
    });
  }

  #booted = (): void => {};

  /** The run that is in the engine, or 0. */
  get running(): number {
    return this.#run?.number ?? 0;
  }

  /** Whether it waits for a reader of its output. */
  get isHeldUp(): boolean {
    return this.#held;
  }

  /** Resolves when nothing runs. */
  idle(): Promise<void> {
    return this.#run ? new Promise((resolve) => this.#whenIdle.push(resolve)) : Promise.resolve();
  }

  #onMessage(message: ThreadMessage): void {
    if (message.kind === "wake") {
      this.#channel.onWake();
      this.#pump();
    }
    if (message.kind === "ready") {
      this.interrupts = new Interrupts(message.memory, message.addresses);
      this.#state = "alive";
      this.#booted();
    }
  }

  /** Runs frontend messages; one call at a time. Resolves when all of their answer was handed out. */
  exec(input: EngineInput, options: ExecOptions): Promise<void> {
    if (this.#state !== "alive") return Promise.reject(new Error("the engine is closed"));
    this.#runs = (this.#runs % 0x7fffffff) + 1;
    return new Promise((resolve, reject) => {
      this.#run = {
        number: this.#runs,
        input,
        written: 0,
        inputEnded: false,
        options,
        failure: undefined,
        resolve,
        reject,
      };
      const isStartup = input.length > 0 && input.subarray(0, 1)[0] === 0;
      this.#channel.send(isStartup ? RecordKind.startup : RecordKind.run, this.#runs);
      this.#pump();
    });
  }

  /**
   * Ends the statement that is running with 57014, or does nothing: when the engine is not in `run`, when what it has
   * answered was not looked at yet, or when `stillWanted` says so after all.
   */
  interrupt(run: number, stillWanted: () => boolean, interrupt: (interrupts: Interrupts) => void): void {
    if (!this.#held) this.#pump();
    this.#channel.guarded(() => {
      if (this.#channel.running !== run || this.#channel.hasUnseenOutput || !stillWanted()) return;
      interrupt(this.interrupts);
    });
  }

  /** Tells PostgreSQL to checkpoint and end. Resolves when the thread is gone. Nothing may be running. */
  async close(): Promise<void> {
    if (this.#state === "alive") {
      this.#state = "closing";
      this.#channel.send(RecordKind.close, 0);
    }
    await this.ended;
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
    if (this.#state === "alive") this.#onDeath(this, cause);
    this.#state = "ended";
    const run = this.#run;
    if (run) this.#finish(run, { error: cause });
  }

  // Moves input in and output out until both have to wait for the engine thread, or the output for its reader.
  #pump(): void {
    for (let run = this.#run; run && !this.#held; run = this.#run) {
      const moved = this.#feed(run);
      const record = this.#channel.peek();
      if (record) {
        const output = record.kind === RecordKind.output ? this.#deliver(run, record.payload) : undefined;
        this.#channel.take(record);
        if (record.kind === RecordKind.done) this.#finish(run, run.failure);
        if (output) this.#hold(output);
      } else if (!moved && !this.#channel.settle(!run.inputEnded)) {
        run.options.onPause?.();
        return;
      }
    }
  }

  // Returns whether there was space for anything.
  #feed(run: Run): boolean {
    let moved = false;
    while (!run.inputEnded) {
      const left = run.written < run.input.length;
      const taken = left ? this.#sendInput(run) : this.#channel.send(RecordKind.endOfInput, run.number);
      if (taken < 0) return moved;
      moved = true;
      if (left) run.written += taken;
      else run.inputEnded = true;
    }
    return moved;
  }

  #sendInput(run: Run): number {
    try {
      return this.#channel.send(RecordKind.input, run.number, run.input, run.written);
    } catch (error) {
      // PostgreSQL would wait for the rest of a message for ever.
      void this.fail(error);
      return -1;
    }
  }

  #deliver(run: Run, data: Uint8Array): void | Promise<void> {
    if (run.failure) return;
    try {
      return run.options.onRawData(data);
    } catch (error) {
      run.failure = { error };
    }
  }

  #hold(until: Promise<void>): void {
    this.#held = true;
    const release = (): void => {
      this.#held = false;
      this.#pump();
    };
    until.then(release, release);
  }

  #finish(run: Run, failure: Run["failure"]): void {
    this.#run = undefined;
    if (failure) run.reject(failure.error);
    else run.resolve();
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }
}
