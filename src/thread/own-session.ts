/**
 * A session of the server's own: its start, what it is asked, its end.
 *
 * Owns: the one session, which begins when it is made; for how long it waits for somebody's lock before it has begun. Does not own: what it begins with
 * (`../sessions/own-parameters.ts`), what is asked.
 * Invariant: one batch runs at a time; an end of the session is an error of the batch that it ends, and of those after it. A session that is refused, or has
 * waited for too long, is closed before anybody is told so.
 */
import { limits } from "../limits.ts";
import type { LockWait } from "../sessions/deadlock.ts";
import type { SessionHost } from "../sessions/host.ts";
import { limitLockWait, watchLockWait } from "../sessions/lock-limit.ts";
import { PendingInput } from "../sessions/pending-input.ts";
import type { Session, SessionInput } from "../sessions/session.ts";
import { bytesInput } from "../sessions/session-context.ts";
import { encodeQuery } from "../wire/frontend.ts";
import { DatabaseError, readQueryResults } from "../wire/query-results.ts";
import { waitedTooLong } from "./lock-errors.ts";

/** The rows of an answer, as text. */
export type Rows = readonly (readonly (string | null)[])[];

/** The session has ended, as somebody wanted it to. */
export class SessionEnded extends Error {}

/** SQLSTATE of a wait that `lock_timeout` has ended. */
const lockNotAvailable = "55P03";

/** How often in the time that it may wait is looked which lock a session waits for. */
const looksInWait = 5;

/** How a session begins. */
interface Beginning {
  /** Is given it before it has started. */
  readonly onBegun?: (session: Session) => void;
  /** How long it waits for somebody's lock, in real time: before it has begun, when none of PostgreSQL's limits is in force; then by its `lock_timeout`. */
  readonly waitMs?: number;
}

/** See the head of the file. */
export class OwnSession {
  readonly #host: SessionHost;
  readonly #application: Buffer | undefined;
  readonly #waitMs: number;
  readonly #session: Promise<Session>;
  /** As soon as it is there, before it has started. */
  #begun: Session | undefined;
  #isEnding = false;
  /** What `run` was given, and what came of it. */
  readonly #input = new PendingInput(() => this.#onAllRead());
  #onAllRead: () => void = () => undefined;
  readonly #answer: Uint8Array[] = [];
  #running: Promise<void> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** `number`: its process id, below those of clients. */
  constructor(
    host: SessionHost,
    parameters: Parameters<SessionHost["createSession"]>[0],
    number: number,
    { onBegun = () => undefined, waitMs = limits.branchWaitMs }: Beginning = {},
  ) {
    this.#host = host;
    const { application_name: application } = parameters;
    this.#application = application === undefined ? undefined : Buffer.from(application);
    this.#waitMs = waitMs;
    this.#session = this.#begin(parameters, number, onBegun);
    this.#session.catch(() => {});
  }

  /** Resolves when PostgreSQL has let it in; rejects with why not. */
  get begun(): Promise<Session> {
    return this.#session;
  }

  /** Whether it has begun and is no more. */
  get hasEnded(): boolean {
    return this.#begun?.state === "ended";
  }

  /**
   * Runs frontend messages; resolves with all that they are answered with, when PostgreSQL is ready for a new command or, in the middle of a
   * COPY, wants more.
   */
  run(messages: Uint8Array): Promise<Uint8Array> {
    return this.#inTurn(async () => {
      const session = await this.#session;
      const isRead = new Promise<void>((resolve) => {
        this.#onAllRead = resolve;
      });
      this.#input.add(messages);
      this.#running ??= this.#runInput(session);
      await Promise.race([isRead, this.#running]);
      const answer = Buffer.concat(this.#answer.splice(0));
      if (this.hasEnded) throw new SessionEnded(`PostgreSQL ended the session: ${answer.toString("latin1")}`);
      return answer;
    });
  }

  async #runInput(session: Session): Promise<void> {
    await session
      .run(this.#input, (bytes) => void this.#answer.push(bytes.slice()))
      .finally(() => {
        this.#running = undefined;
      });
  }

  /**
   * Runs statements; resolves with the rows of the last one, rejects with PostgreSQL's error, or, where `lock_timeout` ended a wait for
   * somebody's lock, with one that names the holder. With `first` it asks that in the turn in which they run, just
   * before, and runs nothing, with no rows, if the answer is no.
   */
  ask(sql: string, first?: () => boolean): Promise<Rows> {
    return this.#inTurn(async () => {
      const session = await this.#session;
      // The log names it if it keeps everybody waiting.
      if (this.#application) session.owner = { application: this.#application, statement: Buffer.from(sql) };
      const wait = watchLockWait(this.#host, session, this.#waitMs / looksInWait);
      const { answer, hasEnded } = await this.#run(queryInput(sql, first)).finally(wait.stop);
      const results = this.#read(answer, wait.last());
      if (hasEnded) throw new SessionEnded("the session was ended");
      return results.at(-1)?.rows ?? [];
    });
  }

  #read(answer: Buffer, wait: LockWait | undefined): ReturnType<typeof readQueryResults> {
    try {
      return readQueryResults(answer);
    } catch (error) {
      const isTimeout = error instanceof DatabaseError && error.code === lockNotAvailable;
      throw isTimeout && wait ? waitedTooLong(wait, this.#waitMs) : error;
    }
  }

  /** Ends it when it has done what it was asked. */
  async close(): Promise<void> {
    await this.#last;
    await this.end();
  }

  /** Ends it in the middle of whatever it does. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.#input.clear();
    this.#input.wake();
    if (this.#begun) await this.#host.closeSession(this.#begun);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }

  async #run(input: SessionInput): Promise<{ answer: Buffer; hasEnded: boolean }> {
    const session = await this.#session;
    const answer: Uint8Array[] = [];
    const status = await session.run(input, (bytes) => void answer.push(bytes.slice()));
    return { answer: Buffer.concat(answer), hasEnded: status === "ended" };
  }

  async #begin(
    parameters: Parameters<SessionHost["createSession"]>[0],
    number: number,
    onBegun: (session: Session) => void,
  ): Promise<Session> {
    const words: Uint8Array[] = [];
    let unlimited = () => {};
    let tooLong: Error | undefined;
    const take = (session: Session): void => {
      this.#begun = session;
      onBegun(session);
      if (this.#isEnding) session.abandoned = true;
      unlimited = limitLockWait(this.#host, session, this.#waitMs, (wait) => {
        tooLong = waitedTooLong(wait, this.#waitMs);
        void this.#host.closeSession(session);
      });
    };
    try {
      const output = (bytes: Uint8Array) => void words.push(bytes.slice());
      const session = await this.#host.createSession(parameters, output, number, take);
      if (tooLong) throw tooLong;
      // Throws PostgreSQL's reason.
      readQueryResults(Buffer.concat(words));
      if (!session || this.#isEnding) throw new SessionEnded("the session was ended before it had begun");
      return session;
    } finally {
      unlimited();
    }
  }
}

/** With `first` statements that PostgreSQL gets when it reads them, unless the answer is no: then there are none. */
function queryInput(sql: string, first: () => boolean = () => true): SessionInput {
  let said: SessionInput | undefined;
  return {
    get pending() {
      return said?.pending ?? true;
    },
    read: (length) => {
      said ??= bytesInput(encodeQuery(first() ? sql : ""));
      return said.read(length);
    },
  };
}
