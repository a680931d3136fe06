/**
 * Keeps the clients of a storm abreast.
 *
 * Owns: who may begin the next query. Does not own: the queries.
 * Invariant: no client is more than `lead` queries ahead of the slowest one, and nobody waits once all that are behind
 * have ended or `release` was called. Without it, the clients that still get answers from a broken server would make
 * nearly all of the queries alone, one after the other, and nearly all of them would be right.
 */
const lead = 4;

/** The pace of a number of clients. */
export class Pace {
  readonly #positions: number[];
  #waiting: (() => void)[] = [];
  #released = false;

  constructor(clients: number) {
    this.#positions = new Array(clients).fill(0);
  }

  /** Resolves when the client may begin its query of this number. Its numbers only grow. */
  async begin(client: number, query: number): Promise<void> {
    this.#move(client, query);
    while (!this.#released && query > Math.min(...this.#positions) + lead) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The client makes no more queries. */
  end(client: number): void {
    this.#move(client, Number.POSITIVE_INFINITY);
  }

  /** Lets everybody go on. */
  release(): void {
    this.#released = true;
    this.#wake();
  }

  #move(client: number, position: number): void {
    this.#positions[client] = position;
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
