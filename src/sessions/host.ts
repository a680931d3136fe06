/**
 * All sessions of one PostgreSQL: making them, finding them, signals between them, closing.
 *
 * Owns: the list of sessions, PGlite's own process, those of the checkpointer and the WAL writer, the delivery of signals.
 * Does not own: turns (`scheduler.ts`), waiting (`waiting.ts`). PostgreSQL's other children are not there: nothing depends on
 * the background writer, and autovacuum is a session of the server's own (`thread/autovacuum.ts`).
 * Invariant: PGlite's own process is never given to a client; it stays idle and unseen from the boot to the close.
 */
import { setImmediate as turnOfTheLoop } from "node:timers/promises";
import { encodeStartup } from "../wire/frontend.ts";
import { readQueryResults } from "../wire/query-results.ts";
import { Auxiliaries } from "./auxiliaries.ts";
import { type BootedPostgres, type BootOptions, bootPostgres } from "./boot.ts";
import type { Checkpointer } from "./checkpointer.ts";
import { DatabaseCopies } from "./database-copies.ts";
import { blockers, isBlocked } from "./deadlock.ts";
import { Entrance } from "./entrance.ts";
import { type EntryPoints, entryPoints } from "./entry-points.ts";
import { ErrorLevel, raiseError } from "./errors.ts";
import { FileDescriptors } from "./file-descriptors.ts";
import { IdleTimers } from "./idle-timers.ts";
import { Image } from "./image.ts";
import type { Machine } from "./machine.ts";
import { ownParameters } from "./own-parameters.ts";
import { Places } from "./places.ts";
import { noSuchProcess, ownPid, type PostgresProcess, Signal } from "./postgres-process.ts";
import { noMemory, noRoomForMark, outOfMemory, tooManyClients } from "./refusals.ts";
import { type Mark, Rewinding } from "./rewind.ts";
import { Hook } from "./rewrite/hooks.ts";
import { Scheduler } from "./scheduler.ts";
import type { ServerLog } from "./server-log.ts";
import { Session, type SessionOutput } from "./session.ts";
import type { SessionContext, SessionState } from "./session-context.ts";
import { settingsOf, tellLeaving } from "./session-state.ts";
import { sessionCalls } from "./waiting.ts";
import type { Windows } from "./windows.ts";

/** `WAIT_EVENT_CLIENT_READ` (utils/wait_event.h): waiting for the client's next message. */
const clientRead = 0x0600_0000;

/** The first pid of a client's session. */
export const firstPid = 1001;

/** What a client asks for in its startup packet: `user`, `database`, `application_name`, `options`, any setting. */
type StartupParameters = Readonly<Record<string, string>> & { readonly user: string };

/** See the head of the file. */
export class SessionHost implements SessionContext {
  readonly machine: Machine;
  readonly process: PostgresProcess;
  readonly windows: Windows;
  readonly entry: EntryPoints;
  readonly scheduler: Scheduler<SessionState>;
  /**
   * Resolves, with what was thrown, when it has crashed; nothing runs any more then. PostgreSQL then ends all sessions and starts anew; whoever
   * owns the host has to do the same with it.
   */
  readonly crash: Promise<unknown>;
  #crash: (error: unknown) => void = () => undefined;
  readonly #booted: BootedPostgres;
  readonly #own: Session;
  readonly copies: DatabaseCopies;
  readonly idleTimers: IdleTimers<Session>;
  #auxiliaries!: Auxiliaries;
  /** What marks there are. */
  readonly marks: Rewinding;
  readonly #entrance = new Entrance();
  readonly #sessions = new Map<number, Session>();
  /** Whether the configuration files have been read again since the postmaster's image was taken. */
  #hasReloaded = false;
  #nextPid = firstPid;
  readonly places: Places<Session>;

  constructor(booted: BootedPostgres) {
    const { machine, process, files, postmaster, maxSessions } = booted;
    this.#booted = booted;
    this.places = new Places(maxSessions, this.#sessions, this.#entrance, (session) => void this.closeSession(session));
    this.crash = new Promise((resolve) => {
      this.#crash = resolve;
    });
    this.machine = machine;
    this.process = process;
    this.windows = booted.windows;
    this.entry = entryPoints(machine, () => this.scheduler.running?.input.pending === true);
    this.#own = new Session(this, ownPid, new Image(postmaster.template), new FileDescriptors(files), booted.window);
    this.#own.proc = process.proc;
    this.#own.latch = process.latch;
    this.#own.state = "idle";
    this.scheduler = new Scheduler<SessionState>(machine, this.#own);
    this.idleTimers = new IdleTimers(machine.clock, (session) => this.#signal(session, Signal.alarm));
    this.marks = new Rewinding(booted, this.#own);
    this.copies = new DatabaseCopies(this, booted.copying, (database, but) => this.#changing(database, but));
    machine.calls = sessionCalls(this);
  }

  /** Boots PostgreSQL. Rejects when this PGlite cannot have real sessions, saying why. */
  static async open(options: BootOptions): Promise<SessionHost> {
    return SessionHost.begin(await bootPostgres(options));
  }

  /** Begins with a PostgreSQL that has booted. Rejects with PostgreSQL's reason if no session can be started. */
  static async begin(booted: BootedPostgres): Promise<SessionHost> {
    const host = new SessionHost(booted);
    host.#startAuxiliaries();
    await host.unlessCrashed(host.#tryFirstSession()).catch((error: unknown) => {
      throw host.log.explainFailedStart(error);
    });
    host.log.hasStarted();
    return host;
  }

  #startAuxiliaries(): void {
    const { postmaster, located } = this.#booted;
    this.#auxiliaries = new Auxiliaries(this, postmaster);
    this.#auxiliaries.start(located, this.#hasReloaded);
  }

  get checkpointer(): Checkpointer {
    return this.#auxiliaries.checkpointer;
  }

  /** Where PostgreSQL writes what nobody's client is told. */
  get log(): ServerLog {
    return this.#booted.log;
  }

  /** Whether what runs belongs to no client, who would be told what happens to it. */
  get runsBehindClients(): boolean {
    return this.#auxiliaries.all.some((process) => process === this.scheduler.running);
  }

  get openSessions(): number {
    return this.#sessions.size;
  }

  /**
   * Starts a backend. All that PostgreSQL answers goes to `output`: authentication, ParameterStatus, BackendKeyData, or the
   * FATAL error with which it refuses; then the result is undefined. `onBegun` gets it before it has started; one that is
   * abandoned then is not started.
   */
  async createSession(
    parameters: StartupParameters,
    output: SessionOutput,
    pid = this.#nextPid++,
    onBegun: (session: Session) => void = () => undefined,
  ): Promise<Session | undefined> {
    const { template, files } = this.#booted.postmaster;
    for (let { delay } = this.places; delay; { delay } = this.places) await delay;
    if (this.places.areTaken) {
      await output(tooManyClients);
      return undefined;
    }
    const session = new Session(this, pid, new Image(template), files.fork());
    this.#sessions.set(session.pid, session);
    onBegun(session);
    const database = parameters.database ?? parameters.user;
    let hasSpoken = false;
    const accepted = await session.start(encodeStartup(parameters), database, parameters.user, (bytes) => {
      hasSpoken = true;
      return output(bytes);
    });
    if (!accepted) {
      if (!hasSpoken && !session.abandoned) await output(noMemory);
      return undefined;
    }
    if (this.#hasReloaded) {
      // A postmaster would have read them before it forked: what changes belongs to the answer.
      session.signals.push(Signal.hangup);
      await session.serveSignals();
    }
    return session;
  }

  /** Whether a session computes: it has a turn, or has had one and lets the others run. */
  computes(session: Session): boolean {
    return this.scheduler.isComputing(session);
  }

  /** Whether the running turn has been asked to let the others run: set by whoever watches over the turns. */
  isAskedToGiveWay: () => boolean = () => false;

  /** The process ids of those that a session waits for; undefined if it waits for nobody, or not for another session. */
  blockedBy(session: Session): number[] | undefined {
    return isBlocked(this, session) ? blockers(this, session).map(({ pid }) => pid) : undefined;
  }

  /** What a session's client may have set; undefined when the session has ended. */
  settingsOf(session: Session) {
    return settingsOf(session, this, this.#booted.located);
  }

  /** What a CancelRequest does: PostgreSQL's SIGINT. */
  cancel(session: Session): void {
    this.#signal(session, Signal.interrupt);
  }

  /** Ends a session: at once if it is idle, else as on SIGTERM, also one that has not begun. What it has said, perhaps the answer to a commit, still goes to its output; nobody waits for that. */
  async closeSession(session: Session): Promise<void> {
    session.abandoned = true;
    if (session.state === "running" || session.state === "new") this.#signal(session, Signal.terminate);
    await session.close();
  }

  /** Ends all sessions, then PostgreSQL. Rejects when the last checkpoint of a directory failed, or it has crashed; the next start recovers then. */
  async close(): Promise<void> {
    await this.unlessCrashed(this.#close());
  }

  /** Settles as `work` does, or rejects with what a session crashed of: one that has crashed settles nothing any more. */
  async unlessCrashed(work: Promise<void>): Promise<void> {
    await Promise.race([work, this.crash.then((error) => Promise.reject(error))]);
  }

  async #close(): Promise<void> {
    while (this.#entrance.closed) await this.#entrance.closed;
    await Promise.all([...this.#sessions.values()].map((session) => this.closeSession(session)));
    // Nobody recovers what was in memory: a last checkpoint would be for nothing.
    if (this.#booted.inMemory) return this.#auxiliaries.exit();
    try {
      await this.#auxiliaries.shutDown();
    } catch (error) {
      // PGlite's own end would make another last checkpoint, without what this one has not done.
      await this.#booted.pglite.fs?.closeFs();
      throw error;
    }
    await this.scheduler.take(this.#own, () => undefined);
    const sbrk = (increment: number) => this.windows.sbrk(this.#own.window, increment);
    const hook = (first: number, second: number, kind: number) => (kind === Hook.sbrk ? sbrk(first) : second);
    this.machine.calls = { hook, read: () => 0, write: (_, length) => length };
    await this.#booted.pglite.close();
  }

  /** Remembers the whole server as it is. It first ends all sessions, which must be idle and outside transactions. Rejects if there is no room. */
  async mark(): Promise<Mark> {
    const mark = await this.withoutSessions(() => this.marks.take(this.#hasReloaded));
    if (!mark) throw noRoomForMark(this.marks.mostBytes);
    return mark;
  }

  /** Runs `work` when all sessions have ended, which are to be idle, and PostgreSQL's own processes, which begin anew afterwards. */
  withoutSessions<T>(work: () => T): Promise<T> {
    return this.#alone(async () => {
      await this.#leave();
      await Promise.all([...this.#sessions.values()].map((session) => this.closeSession(session)));
      await this.#auxiliaries.exit();
      return this.scheduler.take(this.#own, work);
    });
  }

  /** Brings the whole server back to a mark. All sessions are gone then, whatever they did, and nobody is told. */
  rewind(mark: Mark): Promise<void> {
    return this.#alone(async () => {
      await this.#leave();
      for (const session of this.#sessions.values()) if (!session.isAtRest) session.dismiss();
      await this.#auxiliaries.dismiss();
      while ([...this.#sessions.values()].some(({ isAtRest }) => !isAtRest)) await turnOfTheLoop();
      await this.scheduler.take(this.#own, () => {
        for (const session of this.#sessions.values()) session.forget();
        this.#sessions.clear();
        this.#own.signals.length = 0;
        this.marks.rewind(mark);
        this.#hasReloaded = mark.hasReloaded;
      });
    });
  }

  /** Ends some sessions that are idle, and runs `work` while none begins. `which` is asked in that moment. */
  without<T>(which: () => readonly Session[], work: () => Promise<T>): Promise<T> {
    return this.#entrance.closedFor(async () => {
      const ending = which();
      await this.#leave(ending);
      await Promise.all(ending.map((session) => this.closeSession(session)));
      return work();
    });
  }

  /** What clients have set up in sessions that are going to end is told to who wants to know. */
  async #leave(ending: Iterable<Session> = this.#sessions.values()): Promise<void> {
    for (const session of ending) await tellLeaving(session, this, this.#booted.located);
  }

  /** Runs what ends all processes but the one that PGlite has booted; those of PostgreSQL's own are there again afterwards. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const whole = () => work().finally(() => this.#startAuxiliaries());
    // What fails here leaves PostgreSQL in no known state.
    return this.#entrance.closedFor(() => whole().catch((error: unknown) => this.crashed(error)));
  }

  byProc(proc: number): Session | undefined {
    return [...this.#sessions.values()].find((session) => session.proc === proc);
  }

  #changing(database: number, but: SessionState): Session | undefined {
    for (const session of this.#sessions.values()) {
      if (session !== but && this.process.hasChanged(session.proc, database)) return session;
    }
    return undefined;
  }

  /** C's `kill`; a negative number names a process group, which is its one process. Signal 0 only asks whether it exists. */
  kill(target: number, signal: number): number {
    const pid = Math.abs(target);
    const auxiliary = this.#auxiliaries.all.find((process) => process.pid === pid);
    if (auxiliary) {
      if (signal !== 0 && signal !== Signal.urgent) auxiliary.signal(signal);
      return 0;
    }
    // PGlite's own process takes part in PostgreSQL's barriers and must stay.
    if (pid === ownPid && signal !== Signal.user1) return 0;
    const session = pid === ownPid ? this.#own : this.#sessions.get(pid);
    if (!session || session.state === "ended") {
      // pg_reload_conf tells the postmaster, whose pid is not one of ours; it would tell everybody.
      if (signal === Signal.hangup) {
        this.#hasReloaded = true;
        for (const every of this.#sessions.values()) this.#signal(every, signal);
        for (const every of this.#auxiliaries.all) every.signal(signal);
        return 0;
      }
      this.machine.setWord(this.machine.function("__errno_location")(), noSuchProcess);
      return -1;
    }
    // A latch was set: the scheduler sees it by itself.
    if (signal !== 0 && signal !== Signal.urgent) this.#signal(session, signal);
    return 0;
  }

  /** Runs the handlers of the signals that have arrived, in the session's own turn. */
  deliverSignals(session: SessionState): void {
    for (const signal of session.signals.splice(0)) this.process.raise(signal);
  }

  /**
   * Called with what is no error of PostgreSQL's: a trap, an abort, an exception around it. Shared memory may be broken then,
   * and another PostgreSQL will soon work in the directory: nobody gets a turn any more, and this one never ends.
   */
  crashed(error: unknown): Promise<never> {
    this.scheduler.halt();
    this.#crash(this.#booted.log.explainEnd(error));
    return new Promise(() => undefined);
  }

  /** Called by a session at the end of a batch: from now on a clock outside runs its timeouts. */
  becameIdle(session: Session): void {
    this.process.waitEvent = clientRead;
    this.idleTimers.set(session, this.process.idleTimeouts());
  }

  /** Called by a session in its last turn. */
  ended(session: Session): void {
    session.files.closeAll();
    session.image.discard();
    this.windows.close(session.window);
    this.#sessions.delete(session.pid);
    this.machine.random.end(session.pid);
    session.onEnded();
    this.places.ended(session);
  }

  /** A C string that lives as long as the session. */
  string(text: string): number {
    const bytes = new TextEncoder().encode(`${text}\0`);
    const address = this.machine.function("malloc")(bytes.length);
    if (address === 0) raiseError(this.machine, { ...outOfMemory, level: ErrorLevel.fatal });
    this.machine.write(address, bytes);
    return address;
  }

  /** Throws PostgreSQL's reason if no session can be started. What only a first one does is done then. */
  async #tryFirstSession(): Promise<void> {
    const answer: Buffer[] = [];
    const session = await this.createSession(ownParameters, (bytes) => void answer.push(Buffer.from(bytes)));
    // Throws PostgreSQL's reason.
    readQueryResults(Buffer.concat(answer));
    if (!session) throw new Error("PostgreSQL refused its first session");
    await this.closeSession(session);
  }

  #signal(session: Session, signal: number): void {
    // A backend that waits for its client's next message ignores a cancel.
    if (signal === Signal.interrupt && session.state === "idle") return;
    // One that has not been handled stands for both.
    if (session.signals.includes(signal)) return;
    session.signals.push(signal);
    if (this.scheduler.running === session) this.deliverSignals(session);
    else if (this.scheduler.isParked(session)) this.scheduler.wake(session);
    else if (session.state === "idle" && session.signals.length === 1) void this.#deliverToIdle(session);
  }

  /** An idle backend waits for its client's next message, and handles signals while it does. */
  async #deliverToIdle(session: Session): Promise<void> {
    if (session === this.#own) {
      return this.scheduler.take(session, () => {
        this.deliverSignals(session);
        this.machine.function("ProcessInterrupts")();
      });
    }
    await session.serveSignals();
  }
}
