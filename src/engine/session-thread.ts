/**
 * An engine thread with a PostgreSQL session for each client, seen from the main thread.
 *
 * Owns: the sessions' ends on this side: what each has to be told, and its output on the way out. Does not own: sessions
 * themselves (`thread/sessions/`), clients, the thread's life (`thread-life.ts`).
 * Invariant: the output of one session never waits for the reader of another; a session has at most `windowBytes` of
 * input under way. How much output it may have under way the thread decides (`thread/session-loop.ts`).
 */
import { RecordKind } from "./channel.ts";
import type { EngineInput, EngineSession, ExecOptions, SessionEvents } from "./engine.ts";
import { PartCollector } from "./part-collector.ts";
import type { Interrupts } from "./thread/interrupts.ts";
import { type EngineThreadOptions, type OnDeath, ThreadLife } from "./thread-life.ts";

const windowBytes = 1 << 20;
/** After so much output the event loop gets its turn: only there sockets write what they have taken. */
const outputPerTurn = 1 << 17;
/** The number of the session that the process itself uses; those of clients are above it. */
const ownNumber = 999;

/** A running engine thread. */
export class SessionThread extends ThreadLife {
  readonly #onDeath: OnDeath<SessionThread>;
  readonly #ports = new Map<number, SessionPort>();
  /** Those whose client waits for an answer. */
  readonly #busy = new Set<SessionPort>();
  /** Those with records that may have to be written. */
  readonly #unfed = new Set<SessionPort>();
  /** Those whose output has not been flushed. */
  readonly #touched = new Set<SessionPort>();
  readonly #parts = new PartCollector();
  #own: OwnSession | undefined;
  #pumping = false;
  /** Whether there may be something to write since it was looked for. */
  #kicked = false;
  #whenIdle: (() => void)[] = [];

  private constructor(options: EngineThreadOptions, onDeath: OnDeath<SessionThread>) {
    super(options);
    this.#onDeath = onDeath;
  }

  /** Starts a thread and resolves when its PostgreSQL answers. Rejects with why it did not; then nothing is left of it. */
  static async boot(options: EngineThreadOptions, onDeath: OnDeath<SessionThread>): Promise<SessionThread> {
    const thread = new SessionThread(options, onDeath);
    await thread.booted();
    // From now on it may have something to say at any time.
    thread.pump();
    return thread;
  }

  /** The number of the session whose turn it is, or 0. */
  get running(): number {
    return this.isAlive ? this.channel.running : 0;
  }

  /** Whether any session has not answered. */
  get isBusy(): boolean {
    return this.#busy.size > 0;
  }

  /** No session holds up the thread: each waits for its own reader. */
  readonly isHeldUp = false;

  /** Resolves when nothing runs. */
  idle(): Promise<void> {
    return this.isBusy ? new Promise((resolve) => this.#whenIdle.push(resolve)) : Promise.resolve();
  }

  /** Starts a session with a number that no other has; it is PostgreSQL's process id. */
  open(number: number, parameters: ReadonlyMap<string, string>, events: SessionEvents): EngineSession {
    const port = new SessionPort(this, number, events);
    this.#ports.set(number, port);
    const json = JSON.stringify(Object.fromEntries(parameters));
    port.queue(RecordKind.open, Buffer.from(json));
    // Its answer comes when the caller knows its session.
    queueMicrotask(() => this.pump());
    return port;
  }

  /** As a shared engine: runs frontend messages in a session of the process's own, one call at a time. */
  async exec(input: EngineInput, options: ExecOptions): Promise<void> {
    if (!this.isAlive) throw new Error("the engine is closed");
    this.#own ??= new OwnSession((events) =>
      this.open(
        ownNumber,
        new Map([
          ["user", "postgres"],
          ["database", "postgres"],
        ]),
        events,
      ),
    );
    await this.#own.exec(input, options);
  }

  /** Ends the session of `exec`; the next one begins a new one. */
  async closeOwn(): Promise<void> {
    const own = this.#own;
    this.#own = undefined;
    await own?.close();
  }

  /** Ends a statement by PostgreSQL's flags: only if it is that session's turn and all of its output was looked at. */
  interrupt(number: number, stillWanted: () => boolean, interrupt: (interrupts: Interrupts) => void): void {
    this.pump();
    this.channel.guarded(() => {
      if (this.channel.running !== number || this.channel.hasUnseenOutput || !stillWanted()) return;
      interrupt(this.interrupts);
    });
  }

  /**
   * A timeout of a session that computes is over. PostgreSQL's own alarm is run by the thread (`sessions/waiting.ts`), when the
   * session listens: from here it might be set off after PostgreSQL has just given it up, and end the next statement.
   */
  expire(number: number): void {
    this.channel.guarded(() => {
      if (this.channel.running === number) this.interrupts.attend();
    });
  }

  protected died(cause: unknown): void {
    this.#onDeath(this, cause);
  }

  protected gone(cause: unknown): void {
    for (const port of this.#ports.values()) port.gone(cause);
    for (const ports of [this.#ports, this.#busy, this.#unfed, this.#touched]) ports.clear();
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** Called by a port whose client has asked for something. */
  onAsked(port: SessionPort): void {
    this.#busy.add(port);
    this.stayAwake(true);
  }

  /** Called by a port whose client does not want an answer any more. */
  onClosing(port: SessionPort): void {
    this.#busy.delete(port);
  }

  /** Called by a port that has something to write; it is written with the next `kick`. */
  onQueued(port: SessionPort): void {
    this.#unfed.add(port);
  }

  kick(): void {
    this.pump();
  }

  protected pump(): void {
    // What a client does with its output may come back here.
    this.#kicked = true;
    if (this.#pumping || !this.isAlive) return;
    this.#pumping = true;
    let output = 0;
    try {
      while (output < outputPerTurn) {
        this.#kicked = false;
        const wantsSpace = !this.#feed();
        const record = this.channel.peek();
        if (record) {
          const payload = this.#parts.collect(record);
          if (payload) this.#deliver(record.kind, record.run, payload);
          if (record.kind === RecordKind.output) output += record.payload.length;
          this.channel.take(record);
          continue;
        }
        // A client can read while there is nothing else to do.
        this.#flush();
        if (this.#kicked) continue;
        // With several clients the sockets have to be looked at as well: the event loop turns instead of waiting here.
        if (this.#busy.size > 1 && this.isAwake) return;
        if (!this.channel.settle(wantsSpace, this.isBusy)) return;
      }
      this.#flush();
      this.lookAgain();
    } finally {
      this.#pumping = false;
    }
  }

  #flush(): void {
    for (const port of this.#touched) port.flush();
    this.#touched.clear();
  }

  // Returns whether everything was written that may be.
  #feed(): boolean {
    for (const port of this.#unfed) {
      if (!port.feed((kind, bytes, from) => this.channel.send(kind, port.number, bytes, from))) return false;
      this.#unfed.delete(port);
    }
    return true;
  }

  #deliver(kind: RecordKind, number: number, payload: Uint8Array): void {
    const port = this.#ports.get(number);
    if (!port) return;
    if (kind === RecordKind.output) this.#touched.add(port);
    else if (this.#touched.delete(port)) port.flush();
    port.take(kind, payload);
    if (kind === RecordKind.idle || kind === RecordKind.hungry) this.#unfed.add(port);
    if (kind === RecordKind.idle) this.stayAwake(false);
    if (kind === RecordKind.ended) this.#ports.delete(number);
    if (!port.isBusy) this.#busy.delete(port);
    if (this.#whenIdle.length > 0 && !this.isBusy) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }
}

/** Records that wait to be written, and what is known of one session. */
class SessionPort implements EngineSession {
  readonly number: number;
  readonly #thread: SessionThread;
  readonly #events: SessionEvents;
  #queue: { readonly kind: RecordKind; readonly bytes: Uint8Array; written: number }[] = [];
  /** Positions in its input, modulo 2^32: what `send` got, what was written to the channel, what PostgreSQL has read. */
  #sent = 0;
  #fed = 0;
  #position = 0;
  #state: "open" | "closing" | "ended" = "open";
  #isStarted = false;
  #ended: Promise<void>;
  #whenEnded!: () => void;

  constructor(thread: SessionThread, number: number, events: SessionEvents) {
    this.#thread = thread;
    this.number = number;
    this.#events = events;
    this.#ended = new Promise((resolve) => {
      this.#whenEnded = resolve;
    });
  }

  get isBusy(): boolean {
    return this.#state === "open" && this.#sent !== this.#position;
  }

  get isRunning(): boolean {
    return this.#thread.running === this.number;
  }

  send(bytes: Uint8Array): number {
    if (this.#state !== "open") return this.#sent;
    this.#sent = (this.#sent + bytes.length) | 0;
    this.#thread.onAsked(this);
    this.queue(RecordKind.input, bytes);
    this.#thread.kick();
    return this.#sent;
  }

  acknowledge(bytes: number): void {
    const payload = Buffer.alloc(4);
    payload.writeInt32BE(bytes);
    this.queue(RecordKind.credit, payload);
    this.#thread.kick();
  }

  /** As it says, but once: the supervisor insists on it. */
  interrupt(stillWanted: () => boolean): void {
    // While a backend starts any error is its end.
    if (!this.#isStarted) return;
    if (this.isRunning) {
      this.#thread.interrupt(this.number, stillWanted, (interrupts) => interrupts.cancelQuery());
      return;
    }
    this.queue(RecordKind.cancel, new Uint8Array(0));
    this.#thread.kick();
  }

  close(): Promise<void> {
    if (this.#state === "open") {
      this.#state = "closing";
      this.#thread.onClosing(this);
      this.#queue = this.#queue.filter(({ kind }) => kind === RecordKind.open);
      this.queue(RecordKind.closeSession, new Uint8Array(0));
      this.#thread.kick();
    }
    return this.#ended;
  }

  queue(kind: RecordKind, bytes: Uint8Array): void {
    if (this.#state === "ended") return;
    this.#queue.push({ kind, bytes, written: 0 });
    this.#thread.onQueued(this);
  }

  /** Writes what may be written; false when there was no space for it. */
  feed(send: (kind: RecordKind, bytes: Uint8Array, from: number) => number): boolean {
    for (let item = this.#queue[0]; item; item = this.#queue[0]) {
      // It has enough to read; what comes behind that waits here, not in the channel.
      if (item.kind === RecordKind.input && ((this.#fed - this.#position) | 0) > windowBytes) return true;
      const taken = send(item.kind, item.bytes, item.written);
      if (taken < 0) return false;
      item.written += taken;
      if (item.kind === RecordKind.input) this.#fed = (this.#fed + taken) | 0;
      if (item.written >= item.bytes.length) this.#queue.shift();
    }
    return true;
  }

  take(kind: RecordKind, payload: Uint8Array): void {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    switch (kind) {
      case RecordKind.output:
        this.#events.onOutput(payload);
        break;
      case RecordKind.opened:
        this.#isStarted = true;
        this.#events.onOpened(Buffer.from(payload));
        break;
      case RecordKind.idle:
      case RecordKind.hungry:
        this.#position = view.getInt32(0);
        this.#events.onProgress(this.#position, kind === RecordKind.hungry && this.#position === this.#fed);
        break;
      case RecordKind.ended:
        this.#end();
        this.#events.onEnded(Buffer.from(payload));
        break;
    }
  }

  flush(): void {
    this.#events.onPause();
  }

  gone(cause: unknown): void {
    if (this.#state === "ended") return;
    this.#end();
    this.#events.onGone(cause);
  }

  #end(): void {
    this.#state = "ended";
    this.#queue = [];
    this.#whenEnded();
  }
}

/** The session of `exec`: one batch after the other, each with its own reader. */
class OwnSession {
  readonly #session: EngineSession;
  #current:
    | { readonly options: ExecOptions; end: number | undefined; resolve(): void; reject(error: unknown): void }
    | undefined;
  #reached = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(open: (events: SessionEvents) => EngineSession) {
    const fail = (error: unknown): void => {
      this.#failure = { error };
      this.#current?.reject(error);
      this.#current = undefined;
    };
    this.#session = open({
      onOpened: () => {},
      onOutput: (data) => {
        void this.#current?.options.onRawData(data);
        this.#session.acknowledge(data.length);
      },
      onPause: () => {},
      onProgress: (position) => {
        this.#reached = position;
        this.#settle();
      },
      onEnded: (bytes) => fail(new Error(`PostgreSQL ended the session: ${bytes.toString("latin1")}`)),
      onGone: fail,
    });
  }

  exec(input: EngineInput, options: ExecOptions): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure.error);
    return new Promise((resolve, reject) => {
      // The answer may come before `send` returns.
      this.#current = { options, end: undefined, resolve, reject };
      this.#current.end = this.#session.send(Buffer.from(input.subarray(0, input.length)));
      this.#settle();
    });
  }

  #settle(): void {
    const current = this.#current;
    if (current?.end === undefined || current.end !== this.#reached) return;
    this.#current = undefined;
    current.resolve();
  }

  async close(): Promise<void> {
    await this.#session.close();
  }
}
