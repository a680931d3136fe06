/**
 * One session: a real PostgreSQL backend, from its start to its end.
 *
 * Owns: calling PostgreSQL's entry points for one backend, its input and output. Does not own: when it runs
 * (`scheduler.ts`), what happens when it waits (`waiting.ts`).
 * Mirrors tcop/backend_startup.c (the start) and PGlite's `execProtocolRawSync` (the loop: PGlite has taken the loop of
 * `PostgresMain` apart, so that it is driven from outside).
 * Invariant: nothing is called into PostgreSQL outside a turn of the session.
 */
import assert from "node:assert/strict";
import { startOfReady } from "../wire/ready-for-query.ts";
import type { FileDescriptors } from "./file-descriptors.ts";
import type { Image } from "./image.ts";
import { resumeStatement } from "./kept-statements.ts";
import { type Peer, setPeer } from "./peer.ts";
import { errorsRecur } from "./refusals.ts";
import { Dismissed } from "./scheduler.ts";
import {
  bytesInput,
  type ClientState,
  type LockWait,
  type NamedStatement,
  noInput,
  ProcessExit,
  type SessionContext,
  type SessionInput,
  type SessionOutput,
  type SessionOwner,
  type SessionState,
} from "./session-context.ts";
import { isStackOverflow, raiseStackOverflow } from "./stack-overflow.ts";
import { Window } from "./windows.ts";

export type { SessionInput, SessionOutput, SessionOwner } from "./session-context.ts";

/** The transaction status of ReadyForQuery. */
type TransactionStatus = "I" | "T" | "E";

/** PGlite's exit statuses (pglitec.c): an error reached the top of the stack; the input has ended. */
const errorStatus = 100;
const inputEndedStatus = 99;

/** How many errors in a row may come from no message of the client's: from what the backend reports on its own. */
const mostOwnErrors = 2;

const syncMessage = new Uint8Array([0x53, 0, 0, 0, 4]);
/** CopyDone, which PostgreSQL ignores outside a COPY: unlike a Flush it sends no answer of the pipeline. */
const copyDoneMessage = new Uint8Array([0x63, 0, 0, 0, 4]);

/** See the head of the file. */
export class Session implements SessionState {
  readonly pid: number;
  readonly image: Image;
  readonly files: FileDescriptors;
  readonly window: Window;
  readonly waitsInRealTime = false;
  /** Addresses in shared memory; 0 before the start and after the end. */
  proc = 0;
  latch = 0;
  state: "new" | "idle" | "running" | "closing" | "ended" = "new";
  /** Signals that have arrived and whose handlers have not run. */
  readonly signals: number[] = [];
  input: SessionInput = noInput;
  output: SessionOutput = () => undefined;
  /** Takes what the backend says outside a batch: notifications, and why it ended. */
  client: SessionOutput = () => undefined;
  /** Called at the end of each of its turns: what it has said can go to its client. */
  onTurnEnd: () => void = () => undefined;
  owner: SessionOwner | undefined;
  /** Where its client is; not known of the server's own sessions. */
  peer: Peer | undefined;
  /** Called in its last turn. */
  onEnded: () => void = () => undefined;
  /** Whether the last output ended with ReadyForQuery; if not, the client is in the middle of a pipeline. */
  saidReady = false;
  endOfOutput: Uint8Array = new Uint8Array(0);
  hasLateSignals = false;
  lockWait: LockWait | undefined;
  /** Set to have PostgreSQL check for a deadlock in the session's next turn. */
  checkDeadlock = false;
  /** See `SessionState`. What the backend does meanwhile of its own accord does not count. */
  idleInTransactionSince: number | undefined;
  hasListened = false;
  /** Whether it works for the server and not for its client: no footprint is recorded. */
  isUnwatched = false;
  /** Is told, when the session is going to end or to be undone, what its client has set up in it; with undefined that this is not known. */
  onLeaving: ((state: ClientState | undefined) => void) | undefined;
  /** Set when nobody is interested in the session any more, to end its waiting for a client. */
  abandoned = false;
  readonly #host: SessionContext;
  /** Settled when the calls so far are; the next one begins then. */
  #last: Promise<unknown> | undefined;
  #hasBatch = false;
  /** How many bytes the backend has read of the input. */
  #read = 0;

  constructor(host: SessionContext, pid: number, image: Image, files: FileDescriptors, window = new Window()) {
    this.#host = host;
    this.pid = pid;
    this.image = image;
    this.files = files;
    this.window = window;
  }

  /** Starts the backend with a startup packet. Its whole answer goes to `output`. False when it refused the client. */
  start(packet: Uint8Array, database: string, user: string, output: SessionOutput): Promise<boolean> {
    return this.#turn(false, async () => {
      if (this.abandoned) return this.#end();
      const { process, entry } = this.#host;
      process.becomeBackend(this.pid);
      this.input = bytesInput(packet);
      this.output = output;
      this.client = output;
      let port = 0;
      const left = await this.#exits(async () => {
        // As a process without a postmaster, which would have given it a slot.
        await entry.initProcess();
        entry.setCallbacks();
        // Makes the Port, has the rules of pg_hba.conf, and says that this is a client backend under a postmaster. The client gets the error
        // of a failure.
        entry.startPGlite();
        port = process.port;
        if (this.peer) setPeer(this.#host.machine, port, this.peer);
        await entry.processStartupPacket(port, 1, 1);
        this.input = endOfStartup();
        await entry.postgresMain(this.#host.string(database), this.#host.string(user));
      });
      if (left !== inputEndedStatus) return this.#end();
      await entry.flush();
      // It makes the connection anew: reading a message has begun and will not end. The Port of the start stays.
      entry.startPGlite();
      process.port = port;
      process.allowCancel();
      process.checkLayout();
      this.proc = process.proc;
      this.latch = process.latch;
      this.input = noInput;
      this.state = "idle";
      this.saidReady = true;
      return true;
    });
  }

  /**
   * Runs all that `input` has. Resolves with the transaction status, or "ended" when the backend is no more. One batch at a
   * time: a second one while the first runs is an error.
   */
  async run(input: SessionInput, output: SessionOutput): Promise<TransactionStatus | "ended"> {
    if (this.#hasBatch) throw new Error("the session runs another batch");
    this.#hasBatch = true;
    try {
      return await this.#turn<TransactionStatus | "ended">("ended", async () => {
        this.idleInTransactionSince = undefined;
        let status = await this.#run(input, output);
        if (status === "T" && this.saidReady && this.#host.process.hasCatalogSnapshot) status = await this.#idle();
        if ((status === "T" || status === "E") && this.saidReady) this.idleInTransactionSince = performance.now();
        return status;
      });
    } finally {
      this.#hasBatch = false;
    }
  }

  /** Has the backend handle its signals between two of the client's batches: one that waits for this turn is answered after it. */
  async serveSignals(): Promise<void> {
    await this.#turn("ended", () => this.#idle());
  }

  /** See `resumeStatement`. */
  resume(statement: NamedStatement, isStandIn: boolean): Promise<void> {
    const { machine, process } = this.#host;
    const resume = async () => resumeStatement(machine, process.preparedStatements, statement, isStandIn);
    return this.state === "idle" ? this.#turn(undefined, resume) : Promise.resolve();
  }

  /** Whether it waits for its client's next message, and nothing else has been asked of it. */
  get isAtRest(): boolean {
    return this.state === "idle" && !this.#last;
  }

  /** Only while it runs a batch: elsewhere PostgreSQL is called in ways that cannot be parked. */
  get mayGiveWay(): boolean {
    return this.state === "running";
  }

  /** Has it go without a word from PostgreSQL, when what it runs or waits for has let go: what it leaves in shared memory is going to be undone. */
  dismiss(): void {
    this.abandoned = true;
    this.#host.scheduler.dismiss(this);
  }

  /** One that is idle is no more; its memory is given back while that of another is loaded. */
  forget(): void {
    assert(this.isAtRest, "only a session that runs nothing is forgotten");
    this.#host.idleTimers.clear(this);
    this.state = "ended";
    this.proc = 0;
    this.latch = 0;
    this.files.closeWhileAway();
    this.image.forget();
    this.#host.windows.forget(this.window);
  }

  /** Ends the backend as PostgreSQL does: rolls back, drops its temporary tables, gives back all that it holds. */
  close(): Promise<void> {
    return this.#turn(undefined, async () => {
      if (this.state === "ended") return;
      this.state = "closing";
      this.output = () => undefined;
      await this.#exits(() => this.#host.entry.exitPrepare(0));
      this.#end();
    });
  }

  /**
   * Has the backend do what PostgreSQL's main loop does before it reads a message: handle signals, and let go of a snapshot
   * that would hold up others while it waits. It gets a Sync for that, or, in the middle of a pipeline, which a Sync would
   * end, a message that it ignores. Its output that the client did not ask for goes to `client`, which may park the backend: then the rest of its notifications
   * stays in PostgreSQL's queue.
   */
  async #idle(): Promise<TransactionStatus | "ended"> {
    const betweenPipelines = this.saidReady;
    const input = bytesInput(betweenPipelines ? syncMessage : copyDoneMessage);
    // The last of what it says is ReadyForQuery, which may come in two pieces.
    let last: Uint8Array = new Uint8Array(0);
    const status = await this.#run(input, (bytes) => {
      const said = Buffer.concat([last, bytes]);
      const end = startOfReady(said);
      last = said.subarray(end);
      if (end > 0) return this.client(said.subarray(0, end));
    });
    const hasReady = betweenPipelines && status !== "ended";
    this.saidReady = betweenPipelines;
    // Nobody waits for the client to take it: it is little, and the turn is everybody's.
    if (!hasReady && last.length > 0) void this.client(last);
    return status;
  }

  async #run(input: SessionInput, output: SessionOutput): Promise<TransactionStatus | "ended"> {
    if (this.state !== "idle") return "ended";
    // Its client was told that the session is over: what it had sent must not run any more.
    if (this.abandoned) return "ended";
    this.#host.idleTimers.clear(this);
    this.saidReady = false;
    this.state = "running";
    this.hasLateSignals = false;
    this.input = this.#counted(input);
    this.output = output;
    this.#host.process.waitEvent = 0;
    this.#host.deliverSignals(this);
    if (!(await this.#drive())) return "ended";
    this.input = noInput;
    this.state = "idle";
    this.#host.becameIdle(this);
    if (this.hasLateSignals) void this.serveSignals();
    return this.#transactionStatus();
  }

  #transactionStatus(): TransactionStatus {
    const { entry } = this.#host;
    if (entry.isAborted() !== 0) return "E";
    return entry.isTransactionBlock() !== 0 ? "T" : "I";
  }

  /** Runs the main loop while there is input, and after each error its handler. False when the backend has ended. */
  async #drive(): Promise<boolean> {
    const { entry } = this.#host;
    let status = await this.#exits(entry.runBatch);
    let handled = -1;
    for (let ownErrors = 0; status === errorStatus; ) {
      ownErrors = this.#handledBytes === handled ? ownErrors + 1 : 0;
      if (ownErrors > mostOwnErrors) return this.#endSpeechless();
      handled = this.#handledBytes;
      status = await this.#exits(entry.mainLongJump);
      if (status === undefined) entry.forgetFailedStatements();
      const more = this.input.pending || entry.unreadBytes() > 0;
      if (status === undefined) status = await this.#exits(more ? entry.runBatch : entry.endBatch);
    }
    if (status === undefined) return true;
    if (status === inputEndedStatus) await this.#exits(() => entry.exitPrepare(0));
    return this.#end();
  }

  /** Ends a backend that fails whenever it says anything, as PostgreSQL does for a FATAL error. */
  async #endSpeechless(): Promise<false> {
    const { entry } = this.#host;
    entry.forgetErrors();
    void this.output(errorsRecur);
    await this.#exits(() => entry.exitPrepare(1));
    return this.#end();
  }

  /** How much of the input the main loop has taken for a message. */
  get #handledBytes(): number {
    return this.#read - this.#host.entry.unreadBytes();
  }

  #counted(input: SessionInput): SessionInput {
    const count = (bytes: Uint8Array) => {
      this.#read += bytes.length;
      return bytes;
    };
    return {
      get pending() {
        return input.pending;
      },
      read: (length) => {
        const bytes = input.read(length);
        return bytes instanceof Uint8Array ? count(bytes) : bytes.then(count);
      },
    };
  }

  /** Runs a call of PostgreSQL; resolves with its exit status if it exits. */
  async #exits(call: () => Promise<unknown>): Promise<number | undefined> {
    const { entry, machine } = this.#host;
    const stack = entry.stack();
    const handler = machine.words[machine.address("PG_exception_stack") >> 2]!;
    try {
      this.#assertLoaded();
      await call().catch((error: unknown) => {
        if (!isStackOverflow(error)) throw error;
        entry.restoreStack(stack);
        raiseStackOverflow(machine, handler);
      });
      this.#assertLoaded();
      return undefined;
    } catch (error) {
      if (error instanceof Dismissed) throw error;
      if (!(error instanceof ProcessExit)) return this.#host.crashed(error);
      entry.restoreStack(stack);
      return error.status;
    }
  }

  /** PostgreSQL is entered and left in the session's own turn, as its own backend. */
  #assertLoaded(): void {
    const { scheduler, process } = this.#host;
    assert(scheduler.running === this, "PostgreSQL was called outside a turn of the session");
    assert(process.pid === this.pid, "PostgreSQL was called with the memory of another backend loaded");
  }

  #end(): false {
    this.#host.idleTimers.clear(this);
    this.state = "ended";
    this.proc = 0;
    this.latch = 0;
    this.#host.ended(this);
    return false;
  }

  /** Runs `fn` in the session's turns, after all that the session was asked for before. One that is dismissed meanwhile comes to `dismissed`. */
  async #turn<T>(dismissed: T, fn: () => Promise<T>): Promise<T> {
    const unlessDismissed = () =>
      fn().catch((error: unknown) => {
        if (!(error instanceof Dismissed)) throw error;
        this.#end();
        return dismissed;
      });
    const before = this.#last;
    const { scheduler } = this.#host;
    const call = before
      ? before.then(() => scheduler.take(this, unlessDismissed))
      : scheduler.take(this, unlessDismissed);
    const settled = call.then(nothing, nothing);
    this.#last = settled;
    try {
      return await call;
    } finally {
      if (this.#last === settled) this.#last = undefined;
    }
  }
}

function nothing(): void {}

/**
 * Leaves PostgresMain where it would read the first message: from there on the loop is driven by `run`. PGlite's loop says
 * that it is ready only after a message, so it gets a Sync.
 */
function endOfStartup(): SessionInput {
  const sync = bytesInput(syncMessage);
  return {
    pending: false,
    read: (length) => {
      if (!sync.pending) throw new ProcessExit(inputEndedStatus);
      return sync.read(length);
    },
  };
}
