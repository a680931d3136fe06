/**
 * A process of PostgreSQL's own, beside those of the clients: one of the postmaster's other children.
 *
 * Owns: its start from the postmaster's image, its signals, its end. Does not own: what it does; that is PostgreSQL's main
 * function of its kind, which runs from the start to the end and waits nearly always.
 * Mirrors postmaster/auxprocess.c. Invariant: it ends only when it is told to; an end of its own accord is a crash.
 */
import type { FileDescriptors } from "./file-descriptors.ts";
import { Image, type Template } from "./image.ts";
import { Dismissed } from "./scheduler.ts";
import { type LockWait, noInput, ProcessExit, type SessionContext, type SessionState } from "./session-context.ts";
import { Window } from "./windows.ts";

/** See the head of the file. */
export class AuxiliaryProcess implements SessionState {
  readonly pid: number;
  readonly image: Image;
  readonly files: FileDescriptors;
  readonly window = new Window();
  readonly onTurnEnd = () => undefined;
  // A jump over a year would come to a checkpoint for every five minutes of it.
  readonly waitsInRealTime = true;
  readonly mayGiveWay = false;
  readonly isUnwatched = false;
  readonly owner = undefined;
  readonly input = noInput;
  readonly output = () => undefined;
  readonly signals: number[] = [];
  readonly idleInTransactionSince = undefined;
  /** Addresses in shared memory; 0 before the start and after the end. */
  proc = 0;
  latch = 0;
  saidReady = false;
  endOfOutput: Uint8Array = new Uint8Array(0);
  hasLateSignals = false;
  lockWait: LockWait | undefined;
  checkDeadlock = false;
  hasListened = false;
  abandoned = false;
  readonly #host: SessionContext;
  readonly #main: () => Promise<unknown>;
  #ended: Promise<number> | undefined;
  #isEnding = false;

  /** `main` is its main function (postmaster/launch_backend.c, `child_process_kinds`). */
  constructor(
    host: SessionContext,
    pid: number,
    { template, files }: { readonly template: Template; readonly files: FileDescriptors },
    main: () => Promise<unknown>,
  ) {
    this.#host = host;
    this.pid = pid;
    this.image = new Image(template);
    this.files = files.fork();
    this.#main = main;
  }

  /** Starts it in its first turn; if nobody else has one, it is up and waits when this returns. */
  start(): void {
    this.#ended = this.#host.scheduler.take(this, () => this.#run());
  }

  /** Tells it to end; resolves with its exit status. */
  async end(...signals: readonly number[]): Promise<number> {
    this.#isEnding = true;
    for (const signal of signals) this.signal(signal);
    return (await this.#ended) ?? 0;
  }

  /** Has it go without a word: what it leaves in shared memory is going to be undone. */
  async dismiss(): Promise<void> {
    this.#isEnding = true;
    this.#host.scheduler.dismiss(this);
    await this.#ended;
  }

  /** It handles the signal now, or in its next turn, which comes soon. */
  signal(signal: number): void {
    this.signals.push(signal);
    if (this.#host.scheduler.running === this) this.#host.deliverSignals(this);
    else this.#host.scheduler.wake(this);
  }

  async #run(): Promise<number> {
    const { process } = this.#host;
    process.becomeBackend(this.pid);
    process.port = 0;
    const running = this.#main();
    this.proc = process.proc;
    this.latch = process.latch;
    const end = await running.then(
      () => new Error(`process ${this.pid} of PostgreSQL returned from its main function`),
      (error: unknown) => error,
    );
    const status = end instanceof ProcessExit ? end.status : end instanceof Dismissed ? 0 : undefined;
    if (status === undefined) return this.#host.crashed(end);
    if (!this.#isEnding) {
      return this.#host.crashed(new Error(`process ${this.pid} of PostgreSQL exited: ${status}`));
    }
    this.proc = 0;
    this.latch = 0;
    this.files.closeAll();
    this.image.discard();
    this.#host.windows.close(this.window);
    return status;
  }
}
