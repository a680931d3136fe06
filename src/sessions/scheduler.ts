/**
 * Whose session is loaded, and who runs next.
 *
 * Owns: the one turn that is being taken, the queue of turns, the parked sessions and when they are woken, which in discrete time is at
 * once when nobody has anything to do. Does not own:
 * what a session does in its turn (`session.ts`), the images' contents (`image.ts`).
 * Invariant: at most one session is in its turn, and its memory is the loaded one; a turn ends when the session parks or
 * has finished; none begins after `halt`. After every turn each parked session is looked at, so that no wake-up is lost: a latch that was set by the
 * session in its turn is seen before the next turn begins.
 */
import assert from "node:assert/strict";
import type { FileDescriptors } from "./file-descriptors.ts";
import type { Image } from "./image.ts";
import { ImageCheck } from "./image-check.ts";
import type { Machine } from "./machine.ts";
import { delayUntil } from "./timer-delay.ts";
import type { Window } from "./windows.ts";

/** What the scheduler has to know of a session. */
export interface Schedulable {
  readonly pid: number;
  readonly image: Image;
  readonly files: FileDescriptors;
  /** What it has allocated. */
  readonly window: Window;
  /** Called at the end of each of its turns, when it is loaded still. */
  readonly onTurnEnd: () => void;
}

/** What ends a wait; whichever comes first. */
export interface Wait {
  /** The address of a latch; the wait ends when it is set. */
  readonly latch?: number;
  /** A time of the clock (`Clock.nowMs`). */
  readonly deadline?: number;
  /** The deadline is a time of `performance.now()`: no jump of the clock brings it nearer. */
  readonly isReal?: boolean;
  /** What PostgreSQL says that it waits for, where that matters. */
  readonly reason?: "time" | "lock";
  /** The PGPROC of one that waits for a lock, which its session does not know before it has begun. */
  readonly proc?: number;
  /** The wait ends when it is settled. */
  readonly until?: Promise<unknown>;
  /** It waits for nothing: it lets the others run. */
  readonly givesWay?: boolean;
}

/** Is told what is decided, for a trace; of a wait while the session is loaded still. */
export interface SchedulerObserver<S> {
  turn(session: S): void;
  wait(session: S, wait: Wait): void;
  woken(session: S): void;
}

interface Turn<S> {
  readonly session: S;
  readonly begin: () => void;
  /** What it has waited for. */
  readonly wait?: Wait;
}

interface Parked<S> extends Turn<S> {
  readonly wait: Wait;
}

/** What the wait of a session comes to that has been dismissed. */
export class Dismissed extends Error {}

/** See the head of the file. */
export class Scheduler<S extends Schedulable> {
  /** How often another session was loaded. */
  switches = 0;
  /** Counts the turns. */
  turns = 0;
  /** Told whose turn it is, and with undefined that nobody has one: whoever interrupts a running session has to know. */
  onTurn: ((session: S | undefined) => void) | undefined;
  /** Called before a session that computes goes on: what is to be done soon would wait for it. */
  onLongTurn: (() => void) | undefined;
  observer: SchedulerObserver<S> | undefined;
  /** Set in discrete time: whether the clock may jump to the end of a parked session's wait, which has one. */
  mayJump: ((session: S) => boolean) | undefined;
  /**
   * The process ids of those about whom somebody decides, when they go on (`transport/gate/`): how long anything takes changes nothing of their
   * order. Their waits for locks have no length, and one that computes lets only those run about whom nobody decides.
   */
  readonly decided = new Set<number>();
  /** Called at the end of each turn, when the next one has begun. */
  readonly onTurnOver = new Set<() => void>();
  readonly #machine: Machine;
  readonly #queue: Turn<S>[] = [];
  readonly #parked = new Map<S, Parked<S>>();
  readonly #dismissed = new WeakSet<S>();
  #loaded: S;
  #running: S | undefined;
  /** One of `decided` that computes, and lets others run for a moment. */
  #paused: S | undefined;
  #isHalted = false;
  #check: ImageCheck | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** A time of `performance.now()`. */
  #timerDeadline = Number.POSITIVE_INFINITY;
  #jump: NodeJS.Immediate | undefined;

  constructor(machine: Machine, loaded: S) {
    this.#machine = machine;
    this.#loaded = loaded;
    machine.clock.onJump.add(() => this.#look());
  }

  /** For tests: from now on all memory is looked at, at every switch. Throws there if an image is not what it must be. */
  checkImages(): void {
    this.#check = new ImageCheck(this.#machine);
  }

  /** The session whose turn it is. */
  get running(): S | undefined {
    return this.#running;
  }

  /** The session whose memory is loaded: the running one, or the last that ran. */
  get loaded(): S {
    return this.#loaded;
  }

  /** Whether one of these sessions has a turn, or waits for one. */
  isBusyWith(sessions: ReadonlySet<S>): boolean {
    if (this.#running && sessions.has(this.#running)) return true;
    return this.#queue.some(({ session }) => sessions.has(session));
  }

  /** What a parked session waits for. */
  waitOf(session: S): Wait | undefined {
    return this.#parked.get(session)?.wait;
  }

  isParked(session: S): boolean {
    return this.#parked.has(session);
  }

  /** Whether it has a turn, or only lets the others run for a moment. */
  isComputing(session: S): boolean {
    return this.#running === session || this.#parked.get(session)?.wait.givesWay === true;
  }

  /** The sessions that wait, in the order in which they began to. */
  get parked(): Iterable<S> {
    return this.#parked.keys();
  }

  /** Runs `fn` in turns of `session`, from a first one until it is settled. */
  async take<T>(session: S, fn: () => Promise<T> | T): Promise<T> {
    if (!this.#mayBegin || this.#queue.length > 0 || this.#isHeldBack(session))
      await new Promise<void>((begin) => this.#enqueue({ session, begin }));
    else this.#begin(session);
    try {
      return await fn();
    } finally {
      this.#endTurn(session);
    }
  }

  /** Gives no turn any more, to nobody and for ever. The running one goes on until its session parks or has finished. */
  halt(): void {
    this.#isHalted = true;
  }

  /** Ends the turn of the running session until `wait` is over; resolves in its next turn. */
  park(wait: Wait): Promise<void> {
    const session = this.#running;
    if (!session) throw new Error("only the running session can wait");
    this.observer?.wait(session, wait);
    if (wait.givesWay && this.decided.has(session.pid)) this.#paused = session;
    return new Promise<void>((resolve, reject) => {
      const begin = () => (this.#dismissed.has(session) ? reject(new Dismissed()) : resolve());
      const parked = { session, begin, wait };
      this.#parked.set(session, parked);
      if (this.#dismissed.has(session)) this.wake(session);
      const wake = () => this.#parked.get(session) === parked && this.wake(session);
      wait.until?.then(wake, wake);
      // The stack is parked only when the hook has returned; until then its memory must stay loaded.
      queueMicrotask(() => this.#endTurn(session));
    });
  }

  /**
   * Its wait, or the next one that it begins, ends in a turn of its own with `Dismissed`, which nobody in PostgreSQL catches: its stack is
   * gone, and nothing of PostgreSQL has run.
   */
  dismiss(session: S): void {
    this.#dismissed.add(session);
    this.wake(session);
  }

  /** Gives a parked session its next turn although its wait is not over. */
  wake(session: S): void {
    const parked = this.#parked.get(session);
    if (!parked) return;
    this.#parked.delete(session);
    this.observer?.woken(session);
    this.#enqueue(parked);
  }

  #enqueue(turn: Turn<S>): void {
    assert(!this.#parked.has(turn.session), "a session that waits for its turn waits for something else, too");
    this.#queue.push(turn);
    this.#next();
  }

  #endTurn(session: S): void {
    assert(this.#running === session, "a session ended a turn that it did not have");
    assert(this.#loaded === session, "a session had a turn while the memory of another one was loaded");
    session.onTurnEnd();
    this.#running = undefined;
    this.onTurn?.(undefined);
    this.#wakeParked();
    this.#next();
    for (const told of this.onTurnOver) told();
  }

  get #mayBegin(): boolean {
    return !this.#running && !this.#isHalted;
  }

  #next(): void {
    if (!this.#mayBegin) return;
    const turn = this.#paused ? this.#takeOther() : this.#queue.shift();
    if (!turn) {
      this.#setTimer();
      this.planJump();
      return;
    }
    assert(!this.#parked.has(turn.session), "a session is given a turn while it is parked");
    if (turn.wait?.givesWay) this.onLongTurn?.();
    this.#begin(turn.session);
    turn.begin();
  }

  /** Whether it is not to overtake the one that computes. */
  #isHeldBack(session: S): boolean {
    const paused = this.#paused;
    return paused !== undefined && session !== paused && this.decided.has(paused.pid) && this.decided.has(session.pid);
  }

  #takeOther(): Turn<S> | undefined {
    const at = this.#queue.findIndex(({ session }) => !this.#isHeldBack(session));
    return at < 0 ? undefined : this.#queue.splice(at, 1)[0];
  }

  #begin(session: S): void {
    this.#running = session;
    if (session === this.#paused) this.#paused = undefined;
    this.turns++;
    if (this.#loaded !== session) {
      const outgoing = this.#loaded;
      this.#check?.leave(outgoing);
      outgoing.image.save(this.#machine);
      outgoing.files.save();
      this.#loaded = session;
      session.image.load(this.#machine);
      session.files.load();
      this.#check?.enter(session);
      this.switches++;
    }
    this.onTurn?.(session);
    this.observer?.turn(session);
  }

  /** Queues every parked session whose latch is set or whose time has come. */
  #wakeParked(): void {
    if (this.#parked.size === 0) return;
    const { words } = this.#machine;
    const now = performance.now();
    for (const [session, { wait }] of this.#parked) {
      const latchIsSet = wait.latch !== undefined && words[wait.latch >> 2] !== 0;
      if (!latchIsSet && this.#realDeadline(wait) > now) continue;
      const parked = this.#parked.get(session)!;
      this.#parked.delete(session);
      this.observer?.woken(session);
      this.#queue.push(parked);
    }
  }

  #setTimer(): void {
    let deadline = Number.POSITIVE_INFINITY;
    for (const { wait } of this.#parked.values()) deadline = Math.min(deadline, this.#realDeadline(wait));
    const isNever = deadline === Number.POSITIVE_INFINITY;
    // Deadlines come and go with every turn of the WAL writer; a timer that is too early only looks.
    if (this.#timerDeadline <= deadline && !isNever) return;
    clearTimeout(this.#timer);
    this.#timerDeadline = deadline;
    if (isNever) return;
    this.#timer = setTimeout(() => {
      this.#timerDeadline = Number.POSITIVE_INFINITY;
      this.#look();
    }, delayUntil(deadline));
  }

  /** Some time has come. At the end of a turn it is looked at anyway. */
  #look(): void {
    if (this.#running) return;
    this.#wakeParked();
    this.#next();
  }

  #realDeadline({ deadline = Number.POSITIVE_INFINITY, isReal }: Wait): number {
    return isReal ? deadline : this.#machine.clock.realTimeOf(deadline);
  }

  /** In discrete time: has the clock jump if nobody has anything to do until then. Input that has come meanwhile is read before. */
  planJump(): void {
    if (!this.mayJump || this.#jump || this.#parked.size === 0) return;
    this.#jump = setImmediate(() => {
      this.#jump = undefined;
      this.#jumpToNext();
    });
  }

  #jumpToNext(): void {
    if (!this.#mayBegin || this.#queue.length > 0) return;
    let next = Number.POSITIVE_INFINITY;
    for (const [session, { wait }] of this.#parked) {
      // It computes.
      if (wait.givesWay) return;
      if (wait.deadline !== undefined && !wait.isReal && this.mayJump?.(session)) next = Math.min(next, wait.deadline);
    }
    const { clock } = this.#machine;
    const ms = Math.max(0, Math.ceil(next - clock.nowMs));
    // At the end of all time it goes on by itself.
    if (next < Number.POSITIVE_INFINITY && clock.mayJump(ms)) clock.jump(ms);
  }
}
