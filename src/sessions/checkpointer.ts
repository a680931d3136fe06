/**
 * PostgreSQL's checkpointer: its own code in a process of its own.
 *
 * Owns: that process, the requests for checkpoints (what PGlite has left out of RequestCheckpoint and XLogWrite), the
 * shutdown. Does not own: checkpoints; when they come, how they are spread, what is written, synced, recycled and unlinked is
 * PostgreSQL's CheckpointerMain. Mirrors postmaster/checkpointer.c, RequestCheckpoint, and access/transam/xlog.c, XLogWrite.
 * Invariant: a session that waits for a checkpoint is parked; one that fills the WAL faster than the checkpointer gets turns
 * is made to wait for it, so that the WAL keeps about to `max_wal_size`.
 */
import { AuxiliaryProcess } from "./auxiliary-process.ts";
import { raiseError } from "./errors.ts";
import { Signal } from "./postgres-process.ts";
import type { CheckpointRequests, SessionContext, SessionState } from "./session-context.ts";

/** Offsets in `CheckpointerShmemStruct` (postmaster/checkpointer.c); see `#checkLayout`. */
const Shared = { pid: 0, started: 8, done: 12, failed: 16, flags: 20, startVariable: 24, doneVariable: 36 } as const;

/** The queue of a `ConditionVariable` (storage/condition_variable.h): offsets, and what both are when nobody waits. */
const queueHead = 4;
const queueTail = 8;
const nobody = -1;

/** `CHECKPOINT_*` (access/xlog.h). */
const Flag = { wait: 0x20, requested: 0x40, causeXlog: 0x80 } as const;

/** A pid that no client's session has. */
const checkpointerPid = 43;

/** How long a session waits that lets the checkpointer work, in ms: any time gives the turn to who wants it. */
const yieldMs = 1;

/** What a session waits for: counters as they were when it asked, and the checkpoint that it waits for when it has begun. */
interface Request {
  readonly started: number;
  readonly failed: number;
  begun: number | undefined;
}

/** See the head of the file. */
export class Checkpointer implements CheckpointRequests {
  readonly process: AuxiliaryProcess;
  readonly #host: SessionContext;
  readonly #requests = new WeakMap<SessionState, Request>();
  /** Where `CheckpointerShmem` points to. */
  #shared = 0;
  /** The session that shall let the checkpointer work, from when it filled a segment until its turn is over. */
  #yielding: SessionState | undefined;
  /** The segment that was written when the last checkpoint began, which the WAL is kept from; and how far it has come. */
  #oldestSegment: number | undefined;
  #newestSegment = 0;
  #seenStarted = 0;

  constructor(host: SessionContext, postmaster: ConstructorParameters<typeof AuxiliaryProcess>[2]) {
    this.#host = host;
    this.process = new AuxiliaryProcess(host, checkpointerPid, postmaster, () => host.entry.checkpointerMain(0, 0));
  }

  /** Starts it; `pointer` is the address of `CheckpointerShmem`. Throws when it does not come up. */
  start(pointer: number): void {
    this.#shared = this.#host.machine.words[pointer >> 2]!;
    this.process.start();
    this.#checkLayout();
  }

  /** Throws if it has not come up, or what is shared with it is not laid out as this file says. */
  #checkLayout(): void {
    const { pid, started, done, startVariable, doneVariable } = Shared;
    const queues = [startVariable, doneVariable].flatMap((at) => [at + queueHead, at + queueTail]);
    const isSo =
      this.#read(pid) === checkpointerPid &&
      this.#read(started) === this.#read(done) &&
      queues.every((at) => this.#read(at) === nobody);
    if (!isSo) throw new Error("PostgreSQL's checkpointer did not start, or is not that of PostgreSQL 18");
  }

  /**
   * Has it checkpoint for the last time and exit, when all sessions have ended. Rejects when that failed: then the
   * directory must be left to recovery.
   */
  async shutDown(): Promise<void> {
    // The first has it write the shutdown checkpoint, the second has it exit then.
    const status = await this.process.end(Signal.interrupt, Signal.user2);
    if (status !== 0) throw new Error(`PostgreSQL's last checkpoint failed: its checkpointer exited with ${status}`);
  }

  /** `RequestCheckpoint`: answers with the condition variable to wait for, or 0. */
  request(session: SessionState, flags: number): number {
    const { machine } = this.#host;
    const [started, failed] = [this.#read(Shared.started), this.#read(Shared.failed)];
    this.#requests.set(session, { started, failed, begun: undefined });
    machine.setWord(this.#shared + Shared.flags, this.#read(Shared.flags) | flags | Flag.requested);
    machine.setWord(this.process.latch, 1);
    return flags & Flag.wait ? this.#shared + Shared.startVariable : 0;
  }

  /** Its second part: what to wait for next; 0 when the checkpoint is done. Raises PostgreSQL's error when it has failed. */
  awaited(session: SessionState): number {
    const request = this.#requests.get(session)!;
    if (request.begun === undefined) {
      const started = this.#read(Shared.started);
      if (started === request.started) return this.#shared + Shared.startVariable;
      request.begun = started;
    }
    // The counters wrap around.
    if (((this.#read(Shared.done) - request.begun) | 0) < 0) return this.#shared + Shared.doneVariable;
    if (this.#read(Shared.failed) !== request.failed) {
      raiseError(this.#host.machine, {
        message: "checkpoint request failed",
        hint: "Consult recent messages in the server log for details.",
      });
    }
    return 0;
  }

  /** `XLogWrite` has come to a new segment: asks for a checkpoint when it is time for one. Must not wait: see `Hook`. */
  segmentBegun(session: SessionState, segment: number): void {
    const started = this.#read(Shared.started);
    if (started !== this.#seenStarted || this.#oldestSegment === undefined) {
      this.#seenStarted = started;
      this.#oldestSegment = this.#newestSegment || segment;
    }
    this.#newestSegment = segment;
    const isBusy = this.#read(Shared.flags) !== 0 || started !== this.#read(Shared.done);
    if (!isBusy) {
      if (segment - this.#oldestSegment < this.#segmentsBetweenCheckpoints() - 1) return;
      this.request(session, Flag.causeXlog);
    }
    if (session === this.process) return;
    this.#yielding = session;
    this.#host.process.interruptPending = true;
  }

  /** `ProcessInterrupts` of the running session: how long to wait, in ms, or undefined. */
  yieldMs(session: SessionState): number | undefined {
    if (session !== this.#yielding || !this.#host.process.mayBeInterrupted) return undefined;
    this.#yielding = undefined;
    return yieldMs;
  }

  /** `CheckPointSegments` (access/transam/xlog.c, CalculateCheckpointSegments). */
  #segmentsBetweenCheckpoints(): number {
    const { process } = this.#host;
    // `max_wal_size` is told in MB.
    const longest = (Number(process.setting("max_wal_size")) * 2 ** 20) / process.segmentBytes;
    return Math.max(1, Math.floor(longest / (1 + Number(process.setting("checkpoint_completion_target")))));
  }

  #read(offset: number): number {
    return this.#host.machine.ints[(this.#shared + offset) >> 2]!;
  }
}
