/**
 * What a client has sent and PostgreSQL has not read.
 *
 * Owns: the bytes, and PostgreSQL's wait for more of them. Does not own: when a session runs (`../transport/client-session.ts`).
 * Invariant: PostgreSQL waits only while there is nothing to read; what is cleared is never read.
 */
import type { SessionInput } from "./session.ts";

const empty = Buffer.alloc(0);

/** A client's input, which PostgreSQL reads piece by piece. */
export class PendingInput implements SessionInput {
  readonly #onAllRead: () => void;
  #chunks: Uint8Array[] = [];
  #wakeReader: (() => void) | undefined;

  /** `onAllRead` is called each time when PostgreSQL wants more and there is nothing. */
  constructor(onAllRead: () => void) {
    this.#onAllRead = onAllRead;
  }

  get pending(): boolean {
    return this.#chunks.length > 0;
  }

  /** Whether PostgreSQL waits for more of a message, of a pipeline or of a COPY. */
  get isAwaited(): boolean {
    return this.#wakeReader !== undefined;
  }

  /** Takes over the bytes. */
  add(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.wake();
  }

  read(length: number): Uint8Array | Promise<Uint8Array> {
    if (this.pending) return this.#cut(length);
    this.#onAllRead();
    return new Promise<void>((resolve) => {
      this.#wakeReader = resolve;
    }).then(() => this.#cut(length));
  }

  clear(): void {
    this.#chunks = [];
  }

  /** PostgreSQL waits no longer: with nothing to read it is at the input's end. */
  wake(): void {
    this.#wakeReader?.();
    this.#wakeReader = undefined;
  }

  #cut(length: number): Uint8Array {
    const [chunk] = this.#chunks;
    if (!chunk) return empty;
    if (chunk.length <= length) {
      this.#chunks.shift();
      return chunk;
    }
    this.#chunks[0] = chunk.subarray(length);
    return chunk.subarray(0, length);
  }
}
