/**
 * The time that one permutation may take.
 *
 * Owns: the moment at which it is over. Does not own: what is done then.
 * Invariant: whoever waits asks here, so that no wait goes on after that moment.
 */

/** The time of a permutation is over. */
export class TimeIsOver extends Error {
  override readonly name = "TimeIsOver";
}

/** A limit that is set anew for each permutation. */
export class TimeLimit {
  readonly limitMs: number;
  #end: number;

  constructor(limitMs: number) {
    this.limitMs = limitMs;
    this.#end = Date.now() + limitMs;
  }

  /** The next permutation begins. */
  restart(): void {
    this.#end = Date.now() + this.limitMs;
  }

  /** Throws a `TimeIsOver` if it is. */
  check(): void {
    if (Date.now() > this.#end) throw new TimeIsOver(`no end within ${this.limitMs / 1000} s`);
  }

  /** `work`, or a `TimeIsOver` if that comes first. */
  async race<T>(work: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<never>((_, reject) => {
      const error = new TimeIsOver(`no end within ${this.limitMs / 1000} s`);
      timer = setTimeout(() => reject(error), Math.max(0, this.#end - Date.now()));
    });
    try {
      return await Promise.race([work, over]);
    } finally {
      clearTimeout(timer);
    }
  }
}
