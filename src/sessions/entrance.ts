/**
 * Whether sessions may begin.
 *
 * Owns: that they wait while something is done that needs there to be none, one such thing after another. Does not own: what that is (`host.ts`).
 */

/** See the head of the file. */
export class Entrance {
  #closed: Promise<void> | undefined;

  /** While it is not undefined none may begin. When it is settled it may be closed again. */
  get closed(): Promise<void> | undefined {
    return this.#closed;
  }

  /** Runs `work` while none begins. */
  async closedFor<T>(work: () => Promise<T>): Promise<T> {
    while (this.#closed) await this.#closed;
    let open: () => void = () => undefined;
    this.#closed = new Promise((resolve) => {
      open = resolve;
    });
    return work().finally(() => {
      this.#closed = undefined;
      open();
    });
  }
}
