/**
 * Where a message ends in a stream that comes in pieces of any size.
 *
 * Owns: the header and the rest of one frame. Does not own: the bytes.
 * Invariant: a piece never reaches beyond its frame.
 */

const headerBytes = 5;

/** Cuts one frame after the other. */
export class FrameCutter {
  /** How much of the frame has not been taken; while its header is incomplete, how much of that. */
  left = 0;
  #headerLeft = 0;
  #length = 0;

  /** The next byte is the first one of a frame. */
  begin(): void {
    this.left = this.#headerLeft = headerBytes;
    this.#length = 0;
  }

  /** What comes, however long, is no frame. */
  beginUntyped(): void {
    this.left = Infinity;
  }

  /** Ends what never ends by itself. */
  endUntyped(): void {
    this.left = 0;
  }

  /** The part of `input` that belongs to the frame, as a view. */
  take(input: Uint8Array): Uint8Array {
    let at = 0;
    for (; this.#headerLeft > 0 && at < input.length; at++) {
      this.#headerLeft--;
      if (this.#headerLeft < headerBytes - 1) this.#length = this.#length * 256 + input[at]!;
      // The length counts itself, but not the type.
      this.left = this.#headerLeft > 0 ? this.#headerLeft : this.#length - 4;
    }
    const end = this.#headerLeft > 0 ? at : Math.min(input.length, at + this.left);
    this.left -= this.#headerLeft > 0 ? 0 : end - at;
    return input.subarray(0, end);
  }
}
