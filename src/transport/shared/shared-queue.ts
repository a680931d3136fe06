/**
 * The queue for one PostgreSQL session that all connections share.
 *
 * Owns: whose batch runs next, what holds the engine for a connection (its pipeline, its transaction), and putting the
 * session back in order when a connection goes. Does not own: sockets, the frames of a batch (conversation.ts).
 * Invariant: one loop runs the engine; while a connection holds it, nobody else is scheduled; the loop survives every
 * failure of the engine, because its latch is reset in one place, in a `finally`.
 */
import { timingSafeEqual } from "node:crypto";
import type { Batch, SocketConnection, SocketQueue } from "@electric-sql/pglite-socket";
import type { EngineDeath } from "../../engine/engine.ts";
import type { ConnectionActivity } from "../../engine/listener.ts";
import { encodeError, encodeFrame, int32, readCString, Type } from "../../wire/frames.ts";
import { SharedSession } from "../../work/statements.ts";
import { cancelled, crashOf } from "../session-errors.ts";
import { previewOf } from "../statement-preview.ts";
import { cleanup } from "./cleanup.ts";
import { collect } from "./copy-data.ts";
import { CopyIn } from "./copy-in.ts";
import { EngineRuns, type SharedEngine } from "./engine-runs.ts";
import { HolderWatch } from "./holder-watch.ts";
import { LoopTurns } from "./loop-turns.ts";
import { activityOf, armIdleTimer, type Entry, type Member, newMember } from "./members.ts";

/** Limits of the shared queue; times in milliseconds, 0 for never. */
export interface SharedQueueOptions {
  /** How long a client may idle in a transaction while others wait for it. */
  transactionIdleTimeout: number;
  /**
   * Bytes of one COPY … FROM STDIN that are collected, in a temporary file beyond 8 MiB; and of answers that a client has
   * not read, beyond 4 MiB.
   */
  maxCopyBytes: number;
  log?: (message: string, ...details: unknown[]) => void;
}

// Queries and Executes of a batch that run before their answers are weighed: what a client that does not read can cost.
const ANSWERS_PER_RUN = 16;
// How long close() waits for a run of the engine, in ms.
const CLOSE_TIMEOUT = 800;
// Most statements take less; one that goes on is ended by the stop and answered with that.
const QUIESCE_TIMEOUT = 150;
// How often a connection that is gone is put in order when the engine fails at it.
const CLEANUP_ATTEMPTS = 3;
const EMPTY_QUERY = encodeFrame(Type.Query, "");
/** See the head of the file. */
export class SharedQueue implements SocketQueue {
  readonly #engine: SharedEngine;
  readonly #options: SharedQueueOptions;
  readonly #runs: EngineRuns;
  readonly #copyIn: CopyIn;
  readonly #watch: HolderWatch;
  readonly #loopTurns = new LoopTurns();
  #session = new SharedSession();
  readonly #members = new Map<SocketConnection, Member>();
  #parameters = new Map<string, string>();
  #entries: Entry[] = [];
  #leaving: Member[] = [];
  #holder: Member | undefined;
  #running = false;
  /** What runs. */
  #current: Entry | undefined;
  #unlisten: (() => void) | undefined;
  #state: "open" | "closing" | "closed" = "closed";
  #idle: (() => void)[] = [];

  constructor(engine: SharedEngine, options: SharedQueueOptions) {
    this.#engine = engine;
    this.#options = options;
    this.#runs = new EngineRuns(engine);
    this.#copyIn = new CopyIn(this.#runs, options.maxCopyBytes);
    this.#watch = new HolderWatch(options.transactionIdleTimeout, () => this.#entries);
  }

  get length(): number {
    return this.#entries.length;
  }

  /** Learns the session's ParameterStatus values from a startup packet of its own. */
  async open(): Promise<void> {
    this.#state = "open";
    this.#runs.open();
    this.#unlisten?.();
    this.#unlisten = this.#engine.onDeath?.((death) => this.#engineDied(death));
    const body = Buffer.from("user\0postgres\0\0");
    const startup = Buffer.concat([int32(body.length + 8), int32(3 << 16), body]);
    await this.#runs.exchange(startup, (type, message) => {
      if (type !== Type.ParameterStatus) return;
      const name = readCString(message, 5);
      const value = name && readCString(message, name.next);
      if (name && value) this.#parameters.set(name.text, value.text);
    });
  }

  attach(connection: SocketConnection): Promise<ReadonlyMap<string, string>> {
    const { parameters } = connection;
    this.#members.set(connection, newMember(connection, this.#session, this.#options.maxCopyBytes));
    return Promise.resolve(
      new Map([
        ...this.#parameters,
        ["application_name", parameters.get("application_name") ?? ""],
        ["session_authorization", parameters.get("user") ?? ""],
      ]),
    );
  }

  submit(connection: SocketConnection, batch: Batch): Promise<void> {
    const member = this.#members.get(connection);
    if (member?.state !== "attached" || this.#state !== "open") return Promise.resolve();
    return new Promise((done) => this.#take(member, batch, done));
  }

  isMidway(connection: SocketConnection): boolean {
    const member = this.#members.get(connection);
    if (!member) return false;
    // One that does not read its answers in a transaction keeps the engine, too.
    const keeps = this.#holder === member && member.delivery.drained() !== undefined;
    return keeps || member.copy !== undefined || member.conversation.pipelineOpen;
  }

  /** What every client does. */
  activity(): ConnectionActivity[] {
    return [...this.#members.values()].map((member) => {
      const entry = this.#entries.find((other) => other.member === member);
      return activityOf(member, this.#current?.member === member, entry);
    });
  }

  cancel(processId: number, secretKey: Uint8Array): void {
    for (const member of this.#members.values()) {
      const { connection } = member;
      if (connection.processId !== processId || connection.secretKey.length !== secretKey.length) continue;
      if (timingSafeEqual(connection.secretKey, secretKey)) this.#cancel(member);
    }
  }

  #cancel(member: Member): void {
    const { conversation } = member;
    const waiting = this.#entries.find((entry) => entry.member === member);
    // What came later than what runs must not be answered before it.
    if (this.#current?.member === member) this.#current.cancelled = true;
    else if (member.copy) {
      member.copy.data.cancel(cancelled);
    } else if (waiting?.next === 0 && conversation.replies.status === "I" && !conversation.pipelineOpen) {
      this.#answerCancelled(waiting);
    } else if (waiting) {
      waiting.cancelled = true;
    }
  }

  // It has not begun: it fails as if it had waited for a lock.
  #answerCancelled(entry: Entry): void {
    const { delivery, conversation } = entry.member;
    const { next, ready } = conversation.skip(entry.frames);
    delivery.send(encodeError("57014", cancelled));
    if (ready) delivery.send(encodeFrame(Type.ReadyForQuery, Buffer.from(conversation.replies.status)));
    entry.next = next;
    if (next < entry.frames.length) return;
    this.#entries.splice(this.#entries.indexOf(entry), 1);
    entry.done();
  }

  detach(connection: SocketConnection): Promise<void> {
    const member = this.#members.get(connection);
    if (member?.state !== "attached") return Promise.resolve();
    member.state = "leaving";
    member.idleTimer.clear();
    member.copy?.data.discard();
    member.delivery.discard();
    member.copy = undefined;
    this.#drop((entry) => entry.member === member);
    if (this.#state === "closed") {
      this.#leave(member);
      return Promise.resolve();
    }
    this.#leaving.push(member);
    return new Promise((resolve) => {
      member.left = resolve;
      void this.#loop();
    });
  }

  /** Runs nothing new. Resolves when the answer of what runs was sent, or soon: then it is not waited for. */
  async quiesce(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#drop(() => true);
    if (this.#running) await this.#untilIdle(QUIESCE_TIMEOUT);
  }

  /** Runs nothing any more but what puts the session in order after connections that were detached before. */
  async close(): Promise<void> {
    if (this.#state === "open") this.#state = "closing";
    this.#watch.clear();
    for (const member of this.#members.values()) {
      member.copy?.data.discard();
      member.idleTimer.clear();
    }
    this.#drop(() => true);
    // An engine that does not come back must not keep the caller.
    if (this.#running) await this.#untilIdle(CLOSE_TIMEOUT);
    this.#state = "closed";
    this.#runs.close();
    this.#unlisten?.();
    this.#unlisten = undefined;
  }

  // The data of a COPY goes to its collector at once, whoever holds the engine; what ends it waits for its turn.
  #take(member: Member, { frames, bytes }: Batch, done: () => void): void {
    let next = 0;
    member.idleTimer.clear();
    if (member.copy && !this.#hasEntry(member)) {
      member.idleSince = Date.now();
      const collected = collect(member.copy.data, frames, 0);
      if (!collected.end) {
        done();
        return;
      }
      next = collected.next - 1;
    }
    this.#entries.push({ member, frames, bytes, next, cancelled: false, since: Date.now(), done });
    void this.#loop();
  }

  #hasEntry(member: Member): boolean {
    return this.#entries.some((entry) => entry.member === member);
  }

  #drop(matches: (entry: Entry) => boolean): void {
    const dropped = this.#entries.filter(matches);
    if (dropped.length === 0) return;
    this.#entries = this.#entries.filter((entry) => !matches(entry));
    for (const entry of dropped) entry.done();
  }

  async #loop(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    this.#loopTurns.begin();
    this.#watch.clear();
    try {
      while (this.#state !== "closed") {
        if (this.#loopTurns.areLate) await this.#loopTurns.catchUp();
        const member = this.#nextLeaving();
        if (member) {
          await this.#putInOrder(member);
          continue;
        }
        const entry = this.#nextEntry();
        if (!entry) break;
        this.#current = entry;
        await this.#run(entry);
        this.#current = undefined;
      }
    } finally {
      this.#current = undefined;
      this.#running = false;
      this.#wakeIdle();
    }
    if (this.#state === "open") this.#watch.look(this.#holder);
  }

  async #untilIdle(limit: number): Promise<void> {
    const timer = setTimeout(() => this.#wakeIdle(), limit);
    await new Promise<void>((resolve) => this.#idle.push(resolve));
    clearTimeout(timer);
  }

  #wakeIdle(): void {
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #nextLeaving(): Member | undefined {
    const at = this.#holder ? this.#leaving.indexOf(this.#holder) : 0;
    return this.#leaving.splice(at < 0 ? this.#leaving.length : at, 1)[0];
  }

  #nextEntry(): Entry | undefined {
    const holder = this.#holder;
    const at = this.#entries.findIndex(({ member }) => (!holder || member === holder) && this.#canAnswer(member));
    return at < 0 ? undefined : this.#entries.splice(at, 1)[0];
  }

  // A client that has not read its answers gets no more of them; the loop goes on when it has.
  #canAnswer(member: Member): boolean {
    const drained = member.delivery.drained();
    if (!drained) return true;
    if (!member.draining) {
      member.draining = true;
      void drained.then(() => {
        member.draining = false;
        return this.#loop();
      });
    }
    return false;
  }

  // Runs an entry up to its end, or up to where its client must read first: then it waits at the head of the queue.
  async #run(entry: Entry): Promise<void> {
    const { member, frames, bytes } = entry;
    member.preview = previewOf(frames) ?? member.preview;
    member.idleSince = Date.now();
    try {
      while (entry.next < frames.length && member.state === "attached" && this.#state === "open") {
        if (!this.#canAnswer(member)) {
          this.#settle(member);
          this.#entries.unshift(entry);
          return;
        }
        if (member.copy) {
          await this.#copyIn.goOn(member, member.copy, entry);
          continue;
        }
        if (this.#loopTurns.areLate) {
          await this.#loopTurns.catchUp();
          continue;
        }
        const plan = member.conversation.plan(frames, bytes, entry.next, ANSWERS_PER_RUN);
        entry.next = plan.next;
        if (plan.bytes.length > 0) await this.#runs.execute(member, plan.bytes, entry);
        if (member.conversation.replies.takeUnsettled()) {
          await this.#runs.exchange(EMPTY_QUERY, () => {});
          this.#session.unnamedOwner = undefined;
        }
        if (plan.copyStart) await this.#copyIn.begin(member, plan.copyStart, entry);
      }
      this.#settle(member);
    } catch (error) {
      this.#engineFailed(member, error);
    }
    const { emptied } = member.delivery;
    if (emptied) void emptied.then(entry.done);
    else entry.done();
  }

  // Who holds the engine after `member` ran.
  #settle(member: Member): void {
    const { pipelineOpen, replies } = member.conversation;
    member.idleSince = Date.now();
    this.#holder = pipelineOpen || replies.status !== "I" ? member : undefined;
    if (!pipelineOpen && member.state === "attached") armIdleTimer(member, this.#engine.idleTimeouts?.());
  }

  // Its session is gone with all that anybody had in it; there is nothing to put in order.
  #engineDied(death: EngineDeath): void {
    this.#session = new SharedSession();
    this.#holder = undefined;
    this.#leaving = [];
    for (const member of [...this.#members.values()]) {
      member.idleTimer.clear();
      member.copy?.data.discard();
      this.#leave(member);
      member.connection.terminate(crashOf(death));
    }
    this.#drop(() => true);
  }

  #engineFailed(member: Member, error: unknown): void {
    // The engine has died: everybody knows.
    if (member.state === "gone") return;
    this.#options.log?.("engine exception:", error);
    // Its state in the engine is unknown: it keeps the engine until it has been put in order.
    this.#holder = member;
    void this.detach(member.connection);
    member.connection.terminate({
      severity: "FATAL",
      code: "XX000",
      message: `internal error: ${error instanceof Error ? error.message : String(error)}`,
      hint: "The connection was closed; the other connections go on.",
    });
  }

  // Ends what a gone connection left open and discards what a session would lose, as far as it is not others'.
  async #putInOrder(member: Member): Promise<void> {
    const messages = cleanup(member, this.#members.values(), this.#session);
    // An exception of the engine may have left its transaction open, and the next client would be in it.
    for (let attempt = 1; messages.length > 0 && attempt <= CLEANUP_ATTEMPTS; attempt++) {
      try {
        await this.#runs.exchange(Buffer.concat(messages), () => {});
        break;
      } catch (error) {
        if (member.state === "gone") return;
        this.#options.log?.(`engine exception while a connection was put in order (attempt ${attempt}):`, error);
      }
    }
    if (this.#holder === member) this.#holder = undefined;
    this.#leave(member);
  }

  #leave(member: Member): void {
    member.state = "gone";
    member.delivery.discard();
    this.#members.delete(member.connection);
    member.left?.();
  }
}
