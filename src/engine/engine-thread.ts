/**
 * An engine thread with one session for all clients, seen from the main thread.
 *
 * Owns: the run that is in it. Does not own: the thread's life (`thread-life.ts`), or who may run next.
 * Invariant: every run ends: with its answer, or, when the thread dies, with the error that it died of.
 */
import { RecordKind } from "./channel.ts";
import type { EngineInput, ExecOptions } from "./engine.ts";
import type { Interrupts, Timeout } from "./thread/interrupts.ts";
import { type BootCircumstances, type EngineThreadOptions, type OnDeath, ThreadLife } from "./thread-life.ts";

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

/** A running engine thread. */
export class EngineThread extends ThreadLife {
  readonly #onDeath: OnDeath<EngineThread>;
  #run: Run | undefined;
  #runs = 0;
  #held = false;
  #whenIdle: (() => void)[] = [];

  private constructor(options: EngineThreadOptions & BootCircumstances, onDeath: OnDeath<EngineThread>) {
    super(options);
    this.#onDeath = onDeath;
  }

  /** Starts a thread and resolves when its PostgreSQL answers. Rejects with why it did not; then nothing is left of it. */
  static async boot(
    options: EngineThreadOptions & BootCircumstances,
    onDeath: OnDeath<EngineThread>,
  ): Promise<EngineThread> {
    const thread = new EngineThread(options, onDeath);
    await thread.booted();
    return thread;
  }

  /** The run that is in the engine, or 0. */
  get running(): number {
    return this.#run?.number ?? 0;
  }

  /** Whether something runs. */
  get isBusy(): boolean {
    return this.#run !== undefined;
  }

  /** Whether it waits for a reader of its output. */
  get isHeldUp(): boolean {
    return this.#held;
  }

  /** Resolves when nothing runs. */
  idle(): Promise<void> {
    return this.#run ? new Promise((resolve) => this.#whenIdle.push(resolve)) : Promise.resolve();
  }

  protected died(cause: unknown): void {
    this.#onDeath(this, cause);
  }

  protected gone(cause: unknown): void {
    if (this.#run) this.#finish(this.#run, { error: cause });
  }

  /** Runs frontend messages; one call at a time. Resolves when all of their answer was handed out. */
  exec(input: EngineInput, options: ExecOptions): Promise<void> {
    if (!this.isAlive) return Promise.reject(new Error("the engine is closed"));
    this.#runs = (this.#runs % 0x7fffffff) + 1;
    this.stayAwake(true);
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
      this.channel.send(isStartup ? RecordKind.startup : RecordKind.run, this.#runs);
      this.pump();
    });
  }

  /**
   * Ends the statement that is running with 57014, or does nothing: when the engine is not in `run`, when what it has
   * answered was not looked at yet, or when `stillWanted` says so after all.
   */
  interrupt(run: number, stillWanted: () => boolean, interrupt: (interrupts: Interrupts) => void): void {
    if (!this.#held) this.pump();
    this.channel.guarded(() => {
      if (this.channel.running !== run || this.channel.hasUnseenOutput || !stillWanted()) return;
      interrupt(this.interrupts);
    });
  }

  /** Ends the statement of `run` as PostgreSQL's alarm does, if its timeout is over still. */
  expire(run: number, timeout: Timeout): void {
    this.interrupt(
      run,
      () => this.interrupts.isOver(timeout),
      (interrupts) => interrupts.expire(timeout),
    );
  }

  // Moves input in and output out until both have to wait for the engine thread, or the output for its reader.
  protected pump(): void {
    for (let run = this.#run; run && !this.#held; run = this.#run) {
      const moved = this.#feed(run);
      const record = this.channel.peek();
      if (record) {
        const output = record.kind === RecordKind.output ? this.#deliver(run, record.payload) : undefined;
        this.channel.take(record);
        if (record.kind === RecordKind.done) this.#finish(run, run.failure);
        if (output) this.#hold(output);
      } else if (!moved && !this.channel.settle(!run.inputEnded)) {
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
      const taken = left ? this.#sendInput(run) : this.channel.send(RecordKind.endOfInput, run.number);
      if (taken < 0) return moved;
      moved = true;
      if (left) run.written += taken;
      else run.inputEnded = true;
    }
    return moved;
  }

  #sendInput(run: Run): number {
    try {
      return this.channel.send(RecordKind.input, run.number, run.input, run.written);
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
      this.pump();
    };
    until.then(release, release);
  }

  #finish(run: Run, failure: Run["failure"]): void {
    this.#run = undefined;
    this.stayAwake(false);
    if (failure) run.reject(failure.error);
    else run.resolve();
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }
}
