/**
 * Waiting until something is so, or a time is over.
 *
 * Owns: the one who waits. Does not own: what is waited for.
 */

/** For one who waits. */
export class Waiter {
  #wake = (): void => {};

  /** Something has changed. */
  readonly wake = (): void => this.#wake();

  /** Resolves with whether it is so, after `ms` at the latest. */
  async until(isSo: () => boolean, ms: number): Promise<boolean> {
    const deadline = performance.now() + ms;
    while (!isSo()) {
      const left = deadline - performance.now();
      if (left <= 0) return false;
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
      this.#wake = () => {};
    }
    return true;
  }
}
