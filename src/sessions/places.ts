/**
 * The places for sessions, of which there are only so many.
 *
 * Owns: who waits for one, and which sessions are no reason to refuse anybody. Does not own: the sessions (`host.ts`).
 */

import type { Entrance } from "./entrance.ts";

/** What is asked of a session here. */
interface Occupant {
  readonly abandoned: boolean;
}

/** See the head of the file. */
export class Places<S extends Occupant> {
  /** A session of the server's own that is ended when somebody else wants its place, or its database for himself. */
  dispensable: S | undefined;
  readonly #most: number;
  readonly #sessions: ReadonlyMap<number, S>;
  readonly #entrance: Pick<Entrance, "closed">;
  readonly #end: (session: S) => void;
  /** Those who wait for the end of a session whose client has gone. */
  #waiting: (() => void)[] = [];

  /** `sessions`: those who have a place; `end` ends one of them soon. */
  constructor(
    most: number,
    sessions: ReadonlyMap<number, S>,
    entrance: Pick<Entrance, "closed">,
    end: (session: S) => void,
  ) {
    this.#most = most;
    this.#sessions = sessions;
    this.#entrance = entrance;
    this.#end = end;
  }

  get areTaken(): boolean {
    return this.#sessions.size >= this.#most;
  }

  /**
   * Settles when a starting session must check again; undefined if it may start, or if it will get no place. While it waits for a
   * place, the entrance may close, and the other way round.
   */
  get delay(): Promise<void> | undefined {
    return this.#entrance.closed ?? this.#ending;
  }

  /** Settled when a place that is going to be free may be; undefined if there is one, or there will be none. */
  get #ending(): Promise<void> | undefined {
    if (!this.areTaken) return undefined;
    this.endDispensable();
    // Those whose clients have gone end as soon as the thread gets to it.
    if (![...this.#sessions.values()].some(({ abandoned }) => abandoned)) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  endDispensable(): void {
    const session = this.dispensable;
    this.dispensable = undefined;
    if (session) this.#end(session);
  }

  /** A session has ended. */
  ended(session: S): void {
    if (this.dispensable === session) this.dispensable = undefined;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
