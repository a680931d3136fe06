/**
 * VACUUM and ANALYZE by need, in a session of the server's own: PostgreSQL's autovacuum, whose processes are not there.
 *
 * Owns: when there is a look. Does not own: the look (`autovacuum-look.ts`), what is needed (`../engine/autovacuum.ts`).
 * It is looked after clients have had turns, `autovacuum_naptime` after the look before at the earliest, when nobody has had a turn for a moment; on a
 * server that is never idle when as much time has passed again.
 * Invariant: a server of which nobody has wanted anything since the last look has no timer here. None of it while databases are copied, brought
 * back or explored.
 */
import { firstPid, type SessionHost } from "../sessions/host.ts";
import type { Schedulable } from "../sessions/scheduler.ts";
import { AutovacuumLook, type Known } from "./autovacuum-look.ts";

/** The process id of the session for migrations, seeds and questions about the server, which are as clients' work; those of clients are above it. */
export const ownNumber = 999;

/** For how long nobody has had a turn on a server that idles. */
const idleMs = 100;

/** See the head of the file. */
export class Autovacuum {
  readonly #host: SessionHost;
  readonly #mayLook: () => boolean;
  readonly #known: Known = { done: new Map(), said: new Set() };
  /** When the last look was over. */
  #last = performance.now();
  #look: AutovacuumLook | undefined;
  #timer: NodeJS.Timeout | undefined;
  #naptimeMs = 0;
  /** How many turns clients have had, and at the last time that it was asked. */
  #turns = 0;
  #seenTurns = 0;
  #hasNews = false;
  #pauses = 0;
  #isClosed = false;

  /** `mayLook`: whether nothing is going on that it would disturb. */
  constructor(host: SessionHost, mayLook: () => boolean) {
    this.#host = host;
    this.#mayLook = mayLook;
  }

  /** To be called when a turn begins: a session's, in its turn. */
  readonly onTurn = (session: Schedulable | undefined): void => {
    if (!session || (session.pid < firstPid && session.pid !== ownNumber)) return;
    this.#turns++;
    this.#hasNews = true;
    if (this.#timer || this.#look || this.#isClosed) return;
    this.#naptimeMs = Number(this.#host.process.setting("autovacuum_naptime")) * 1000;
    this.#wait();
  };

  /** Runs `work` when nothing of it is under way, and while nothing of it begins. */
  async pausedFor<T>(work: () => Promise<T>): Promise<T> {
    this.#pauses++;
    try {
      await this.#look?.end();
      return await work();
    } finally {
      this.#pauses--;
    }
  }

  /** The databases are not what they were. */
  forget(): void {
    this.#known.done.clear();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#look?.end();
  }

  #wait(): void {
    const due = this.#last + this.#naptimeMs - performance.now();
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#consider();
      },
      Math.max(idleMs, due),
    ).unref();
  }

  #consider(): void {
    const isBusy = this.#turns !== this.#seenTurns;
    this.#seenTurns = this.#turns;
    const isLate = performance.now() >= this.#last + 2 * this.#naptimeMs;
    // What has come meanwhile is in the next look.
    if (this.#pauses > 0 || !this.#mayLook() || (isBusy && !isLate)) this.#wait();
    else this.#begin();
  }

  #begin(): void {
    this.#hasNews = false;
    const look = new AutovacuumLook(this.#host, this.#known, (text) => this.#host.log.onReport("error", text));
    this.#look = look;
    void look.over.then(() => {
      this.#look = undefined;
      this.#last = performance.now();
      if (this.#hasNews && !this.#isClosed) this.#wait();
    });
  }
}
