/**
 * What a start has opened, closed in reverse order.
 *
 * Owns: the order, and that each thing is closed once. Does not own: how a thing is opened or closed.
 * Invariant: the closing of a thing is registered before its opening begins. A thing that is still being opened when
 * the stack is closed is closed as soon as it is open, and nothing can be opened after that.
 */

/** A stack of things to close; one per start. */
export class CleanupStack {
  readonly #closers: (() => Promise<void>)[] = [];
  #closing: Promise<void> | undefined;

  /** Opens a thing whose `close` is registered first. Rejects with the error of `open`, or when the stack is closing. */
  async open<T>(open: () => Promise<T>, close: (thing: T) => void | Promise<void>): Promise<T> {
    if (this.#closing) throw new Error("stopped");
    let opening: Promise<T> | undefined;
    this.#closers.push(async () => {
      const opened = await opening?.then(
        (thing) => ({ thing }),
        () => undefined,
      );
      if (opened) await close(opened.thing);
    });
    opening = open();
    return opening;
  }

  /** Registers something to do at the end. */
  defer(close: () => void | Promise<void>): void {
    if (this.#closing) throw new Error("stopped");
    this.#closers.push(async () => close());
  }

  /**
   * Closes everything, the newest first, one after the other. Idempotent. One that fails does not keep the others
   * open; then it rejects with the first error, or with an `AggregateError` of several.
   */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    const errors: unknown[] = [];
    for (let close = this.#closers.pop(); close; close = this.#closers.pop()) {
      try {
        await close();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, "several things could not be closed");
  }
}
