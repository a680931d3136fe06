/**
 * Bytes between the main thread and the engine thread, through shared memory.
 *
 * Owns: the two rings of records, who waits for whom, and how long a side spins before it parks. Does not own: what a
 * record means (`thread/backend.ts` and `supervisor.ts`), or any thread.
 * Invariant: each ring has one writer and one reader, each on one thread; a side that parks has announced it and looked
 * again before it does, so that a wake-up is never lost.
 *
 * Why not messages: a structured clone costs more than `SELECT 1`. Waking a thread costs about 45 µs, a spin about 1:
 * a side first spins for about as long as its wait has lately been worth, then parks, so an idle server uses no CPU.
 */

import type { EngineInput } from "./engine.ts";
import { Spinner, wakeUpMs } from "./spinner.ts";

/** What a record carries. Main to engine: `run`, `startup`, `input`, `endOfInput`, `close`. Engine to main: `output`, `done`. */
export const RecordKind = {
  /** The next input is a run; its payload is empty. */
  run: 1,
  /** Bytes of frontend messages. */
  input: 2,
  /** The run has all its input. */
  endOfInput: 3,
  /** Shut PostgreSQL down. */
  close: 4,
  /** Bytes of backend messages. */
  output: 5,
  /** The run has ended. */
  done: 6,
  /** As `run`, for a startup packet. */
  startup: 7,
} as const;

/** One of `RecordKind`. */
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

/** The memory that both threads see; it is sent to the engine thread when that is started. */
export interface ChannelMemory {
  readonly control: SharedArrayBuffer;
  readonly toEngine: SharedArrayBuffer;
  readonly toMain: SharedArrayBuffer;
}

/** Words that a processor fetches at once, with those beside them: what one thread writes all the time has its own. */
const lineWords = 16;

/** The words of `control`. */
const Word = {
  toEngineWritten: 0,
  toEngineRead: lineWords,
  toMainWritten: 2 * lineWords,
  toMainRead: 3 * lineWords,
  /** Counts the wake-ups of the engine thread, which parks on it. */
  signal: 4 * lineWords,
  engineParked: 4 * lineWords + 1,
  /** What the main thread's message would be for: 0 nothing, 1 a record, 2 a record or space for one. */
  mainParked: 4 * lineWords + 2,
  /** The run that the engine works on, or 0. */
  running: 5 * lineWords,
  /** 1 while somebody reads or writes `running` together with PostgreSQL's interrupt flags. */
  guard: 5 * lineWords + 1,
  /** How long the last run took, in µs. */
  tookMicros: 5 * lineWords + 2,
} as const;

const controlWords = 6 * lineWords;
// Powers of two, and multiples of the header. Output is many times the input.
const toEngineBytes = 1 << 20;
const toMainBytes = 1 << 21;
const headerBytes = 16;

/** Allocates the memory of one channel. */
export function allocateChannel(): ChannelMemory {
  return {
    control: new SharedArrayBuffer(controlWords * 4),
    toEngine: new SharedArrayBuffer(toEngineBytes),
    toMain: new SharedArrayBuffer(toMainBytes),
  };
}

/** A record as it lies in the ring; `payload` is valid until `advance`. */
interface ChannelRecord {
  readonly kind: RecordKind;
  /** Which run it belongs to. */
  readonly run: number;
  readonly payload: Uint8Array;
}

/**
 * Records of one writer for one reader. A record is a header (kind, run, length of the payload) and its payload,
 * padded to the header's size; no record wraps around the end, so that a payload is always one view.
 */
class Ring {
  readonly #words: Int32Array;
  readonly #header: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #written: number;
  readonly #read: number;

  constructor(memory: SharedArrayBuffer, words: Int32Array, written: number, read: number) {
    this.#words = words;
    this.#header = new Int32Array(memory);
    this.#bytes = new Uint8Array(memory);
    this.#written = written;
    this.#read = read;
  }

  /** Whether the reader has read everything. */
  get isEmpty(): boolean {
    return Atomics.load(this.#words, this.#written) === Atomics.load(this.#words, this.#read);
  }

  /** Whether a record with at least one byte of payload fits. */
  get hasSpace(): boolean {
    return this.#free() >= 2 * headerBytes;
  }

  /** Writes a record with as much of `data` from `from` on as fits, and returns how many bytes that was; -1 for no record. */
  write(kind: RecordKind, run: number, data?: EngineInput, from = 0): number {
    const wanted = data ? data.length - from : 0;
    const free = this.#free() - headerBytes;
    if (free < (wanted > 0 ? headerBytes : 0)) return -1;
    const at = Atomics.load(this.#words, this.#written);
    const start = this.#index(at + headerBytes);
    const length = Math.min(wanted, free, this.#bytes.length - start);
    const header = this.#index(at) >> 2;
    this.#header[header] = kind;
    this.#header[header + 1] = run;
    this.#header[header + 2] = length;
    if (data && length > 0) this.#bytes.set(data.subarray(from, from + length), start);
    Atomics.store(this.#words, this.#written, (at + headerBytes + padded(length)) | 0);
    return length;
  }

  /** The oldest record, or undefined. */
  peek(): ChannelRecord | undefined {
    const at = Atomics.load(this.#words, this.#read);
    if (Atomics.load(this.#words, this.#written) === at) return undefined;
    const header = this.#index(at) >> 2;
    const start = this.#index(at + headerBytes);
    return {
      kind: this.#header[header] as RecordKind,
      run: this.#header[header + 1]!,
      payload: this.#bytes.subarray(start, start + this.#header[header + 2]!),
    };
  }

  /** Takes the record that `peek` returned. */
  advance(record: ChannelRecord): void {
    const at = Atomics.load(this.#words, this.#read);
    Atomics.store(this.#words, this.#read, (at + headerBytes + padded(record.payload.length)) | 0);
  }

  #free(): number {
    const used = (Atomics.load(this.#words, this.#written) - Atomics.load(this.#words, this.#read)) | 0;
    return this.#bytes.length - used;
  }

  // The counters run on beyond the ring, and around the end of 32 bits.
  #index(counter: number): number {
    return counter & (this.#bytes.length - 1);
  }
}

function padded(length: number): number {
  return (length + headerBytes - 1) & -headerBytes;
}

/** What both ends have in common: the lock around the engine's interrupt flags. */
class ChannelEnd {
  protected readonly words: Int32Array;

  constructor(memory: ChannelMemory) {
    this.words = new Int32Array(memory.control);
  }

  /** The run that the engine works on, or 0. To be trusted only inside `guarded`. */
  get running(): number {
    return Atomics.load(this.words, Word.running);
  }

  /**
   * Runs `action` while the other end does not; it must be short and not throw. Returns false, without running it, if
   * the other end died or was stopped inside its own.
   */
  guarded(action: () => void): boolean {
    for (let tries = 0; Atomics.compareExchange(this.words, Word.guard, 0, 1) !== 0; tries++) {
      if (tries > 1_000_000) return false;
    }
    try {
      action();
    } finally {
      Atomics.store(this.words, Word.guard, 0);
    }
    return true;
  }
}

/** The main thread's end. `wake` of the other end arrives through `onWake`, called by whoever receives its messages. */
export class MainChannel extends ChannelEnd {
  readonly #toEngine: Ring;
  readonly #toMain: Ring;
  // Longer than this the event loop must not wait.
  readonly #spinner = new Spinner(0.3);

  constructor(memory: ChannelMemory) {
    super(memory);
    this.#toEngine = new Ring(memory.toEngine, this.words, Word.toEngineWritten, Word.toEngineRead);
    this.#toMain = new Ring(memory.toMain, this.words, Word.toMainWritten, Word.toMainRead);
  }

  /** Whether the engine thread's output has all been taken. */
  get hasUnseenOutput(): boolean {
    return !this.#toMain.isEmpty;
  }

  /** Writes a record for the engine; returns the bytes of `data` that were taken, or -1 when it must wait for space. */
  send(kind: RecordKind, run: number, data?: EngineInput, from = 0): number {
    const taken = this.#toEngine.write(kind, run, data, from);
    this.#wakeEngine();
    return taken;
  }

  /** The oldest record from the engine, to be taken with `take`. */
  peek(): ChannelRecord | undefined {
    return this.#toMain.peek();
  }

  take(record: ChannelRecord): void {
    if (record.kind === RecordKind.done) this.#spinner.learn(Atomics.load(this.words, Word.tookMicros) / 1000);
    this.#toMain.advance(record);
    this.#wakeEngine();
  }

  /**
   * Waits a bounded moment for a record, or for space if `wantsSpace`. When it returns
   * false the engine thread will post a message as soon as there is something.
   */
  settle(wantsSpace: boolean): boolean {
    const ready = () => !this.#toMain.isEmpty || (wantsSpace && this.#toEngine.hasSpace);
    if (this.#spinner.spin(ready)) return true;
    Atomics.store(this.words, Word.mainParked, wantsSpace ? 2 : 1);
    if (!ready()) return false;
    Atomics.store(this.words, Word.mainParked, 0);
    return true;
  }

  /** To be called when the engine thread's message has come. */
  onWake(): void {
    Atomics.store(this.words, Word.mainParked, 0);
  }

  // The engine thread says that it parks, then looks at the signal, then again for a record.
  #wakeEngine(): void {
    if (Atomics.load(this.words, Word.engineParked) === 0) return;
    Atomics.add(this.words, Word.signal, 1);
    Atomics.notify(this.words, Word.signal);
  }
}

/** The engine thread's end. `post` sends the main thread a message, which wakes its event loop. */
export class EngineChannel extends ChannelEnd {
  readonly #toEngine: Ring;
  readonly #toMain: Ring;
  readonly #post: () => void;
  // From an answer to the next request of the same client; another core's time, so it may be longer.
  readonly #spinner = new Spinner(1);
  #began = 0;

  constructor(memory: ChannelMemory, post: () => void) {
    super(memory);
    this.#post = post;
    this.#toEngine = new Ring(memory.toEngine, this.words, Word.toEngineWritten, Word.toEngineRead);
    this.#toMain = new Ring(memory.toMain, this.words, Word.toMainWritten, Word.toMainRead);
  }

  /** Marks `run` as the one that the engine works on (0: none) and sets the interrupt flags that go with that. */
  setRunning(run: number, setFlags: () => void): void {
    const now = performance.now();
    if (run === 0) Atomics.store(this.words, Word.tookMicros, Math.min((now - this.#began) * 1000, 0x7fffffff));
    this.#began = now;
    this.guarded(() => {
      Atomics.store(this.words, Word.running, run);
      setFlags();
    });
  }

  /** The next record, to be taken with `take`, if there is one. */
  peek(): ChannelRecord | undefined {
    return this.#toEngine.peek();
  }

  /** Waits for the next record, to be taken with `take`. */
  next(): ChannelRecord {
    for (;;) {
      const record = this.#toEngine.peek();
      if (record) return record;
      this.#wait(() => !this.#toEngine.isEmpty);
    }
  }

  take(record: ChannelRecord): void {
    this.#toEngine.advance(record);
    if (Atomics.load(this.words, Word.mainParked) === 2) this.#wakeMain();
  }

  /** Writes all of `data`, waiting for space. */
  send(kind: RecordKind, run: number, data?: Uint8Array): void {
    for (let sent = 0; ; ) {
      // Under the guard: whoever cancels must not take a statement that has just been answered for one that still runs.
      let taken = -1;
      this.guarded(() => {
        taken = this.#toMain.write(kind, run, data, sent);
      });
      if (taken < 0) {
        this.#wait(() => this.#toMain.hasSpace);
        continue;
      }
      sent += taken;
      this.#wakeMain();
      // A record without payload has been written, too.
      if (!data || sent >= data.length) return;
    }
  }

  #wait(ready: () => boolean): void {
    const began = performance.now();
    if (this.#spinner.spin(ready)) {
      this.#spinner.learn(performance.now() - began);
      return;
    }
    Atomics.store(this.words, Word.engineParked, 1);
    for (;;) {
      const signal = Atomics.load(this.words, Word.signal);
      if (ready()) break;
      Atomics.wait(this.words, Word.signal, signal);
    }
    Atomics.store(this.words, Word.engineParked, 0);
    this.#spinner.learn(performance.now() - began - wakeUpMs);
  }

  #wakeMain(): void {
    if (Atomics.exchange(this.words, Word.mainParked, 0) !== 0) this.#post();
  }
}
