/**
 * What has come of a message whose rest is still to come.
 *
 * Owns: the bytes, until there are enough of them. Does not own: how many that is.
 * Invariant: however small the chunks are, a byte is copied a fixed number of times.
 */

const none = new Uint8Array(0);

/** Holds the beginning of one message after the other. */
export class HeldBytes {
  #chunks: Uint8Array[] = [];
  #length = 0;
  #needed = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** What was held and the next chunk, in one piece; undefined, and the chunk is held, while they are too few. */
  take(chunk: Uint8Array): Buffer | undefined {
    if (this.isEmpty) return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#length < this.#needed) return undefined;
    const bytes = Buffer.concat(this.#chunks, this.#length);
    this.hold(none, 0);
    return bytes;
  }

  /** Holds the beginning of a message of which nothing can be told before `needed` bytes of it are there. */
  hold(beginning: Uint8Array, needed: number): void {
    this.#chunks = beginning.length === 0 ? [] : [beginning];
    this.#length = beginning.length;
    this.#needed = needed;
  }
}
