/**
 * The data of one COPY … FROM STDIN, collected before the engine runs it.
 *
 * Owns: the bytes of the CopyData messages, in memory up to a limit and then in a temporary file, and reading them
 * back. Does not own: the file (`spool.ts`), when the COPY runs. Invariant: at most `limit` bytes are kept.
 *
 * Why: PGlite cannot wait for more input while it runs. At the end of its input a COPY ends the session for everyone.
 */
import { encodeFrame, type Frame, Type } from "../../wire/frames.ts";
import { Spool } from "./spool.ts";

// Kept in memory before the temporary file is opened.
const MEMORY_BYTES = 8 * 1024 * 1024;
// Small frames are gathered into blocks of this size.
const BLOCK_BYTES = 64 * 1024;
// Read back from the file at a time.
const WINDOW_BYTES = 1024 * 1024;

/** Collects whole frames. */
export class CopyData {
  /** The most that is kept. */
  readonly limitBytes: number;
  /** Why the data is not kept; undefined while it is. */
  refusal: string | undefined;
  #chunks: Uint8Array[] = [];
  // All bytes in memory, those in the block included.
  #chunkBytes = 0;
  #block: Buffer = Buffer.alloc(0);
  #blockBytes = 0;
  #spool: Spool | undefined;

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  /**
   * Adds a frame, copying it. Returns false once the limit was reached or the data could not be kept, which `refusal`
   * says; then nothing is kept, as the COPY fails whatever came before.
   */
  add(frame: Uint8Array): boolean {
    if (this.refusal !== undefined) return false;
    if ((this.#spool?.length ?? 0) + this.#chunkBytes + frame.length > this.limitBytes) {
      return this.#refuse(`more than ${this.limitBytes} bytes, the limit of this server (maxCopyBytes)`);
    }
    if (this.#blockBytes + frame.length > this.#block.length) this.#newBlock(frame.length);
    this.#block.set(frame, this.#blockBytes);
    this.#blockBytes += frame.length;
    this.#chunkBytes += frame.length;
    if (this.#chunkBytes < MEMORY_BYTES) return true;
    try {
      this.#spill();
      return true;
    } catch (error) {
      return this.#refuse(`could not keep the data: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #refuse(reason: string): false {
    this.cancel(reason);
    return false;
  }

  /** Lets the COPY fail with the next of its frames. */
  cancel(reason: string): void {
    this.refusal ??= reason;
    this.discard();
  }

  // Frames may be a few bytes each: they are gathered, so that neither memory nor writes go by their number.
  #newBlock(atLeast: number): void {
    if (this.#blockBytes > 0) this.#chunks.push(this.#block.subarray(0, this.#blockBytes));
    this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, atLeast));
    this.#blockBytes = 0;
  }

  /**
   * The bytes `head`, all frames, `tail` as one message for `execProtocolRawStream`. Valid until `discard`.
   * With a file this is not a real Uint8Array but has the three things that PGlite uses of a message: `length`, the
   * first byte, and `subarray`; so the data is never in memory as a whole.
   */
  message(head: Uint8Array, tail: Uint8Array): Uint8Array {
    if (this.#spool === undefined) {
      return Buffer.concat([head, ...this.#chunks, this.#block.subarray(0, this.#blockBytes), tail]);
    }
    this.#spill();
    const window = new FileWindow(head, this.#spool, tail);
    return window as unknown as Uint8Array;
  }

  /** Frees everything. Idempotent. */
  discard(): void {
    this.#chunks = [];
    this.#chunkBytes = 0;
    this.#block = Buffer.alloc(0);
    this.#blockBytes = 0;
    this.#spool?.discard();
    this.#spool = undefined;
  }

  #spill(): void {
    this.#spool ??= new Spool();
    for (const chunk of [...this.#chunks, this.#block.subarray(0, this.#blockBytes)]) this.#spool.append(chunk);
    this.#chunks = [];
    this.#chunkBytes = 0;
    this.#blockBytes = 0;
  }
}

/**
 * Feeds the frames from `from` on to `data`, up to the one that ends the COPY (`end`, or `'violation'` for a frame that
 * has no business there). Flush and Sync are ignored meanwhile, as by CopyGetData() in src/backend/commands/copyfromparse.c.
 */
export function collect(
  data: CopyData,
  frames: readonly Frame[],
  from: number,
): { next: number; end?: Uint8Array | "violation" } {
  for (let at = from; at < frames.length; at++) {
    const { type, bytes } = frames[at]!;
    if (type === Type.Flush || type === Type.Sync) continue;
    if (type === Type.CopyDone || type === Type.CopyFail) return { next: at + 1, end: bytes };
    if (type !== Type.CopyData) return { next: at + 1, end: "violation" };
    if (!data.add(bytes)) return { next: at + 1, end: encodeFrame(Type.CopyFail, data.refusal ?? "") };
  }
  return { next: frames.length };
}

class FileWindow {
  readonly length: number;
  readonly 0: number;
  readonly #head: Uint8Array;
  readonly #spool: Spool;
  readonly #tail: Uint8Array;
  readonly #window = Buffer.allocUnsafe(WINDOW_BYTES);
  #windowStart = 0;
  #windowBytes = 0;

  constructor(head: Uint8Array, spool: Spool, tail: Uint8Array) {
    this.length = head.length + spool.length + tail.length;
    this[0] = head[0]!;
    this.#head = head;
    this.#spool = spool;
    this.#tail = tail;
  }

  /** Exactly the bytes asked for, as a view that is valid until the next call. */
  subarray(start: number, end: number): Uint8Array {
    const first = this.#part(start, end);
    if (first.length === end - start) return first;
    const bytes = Buffer.allocUnsafe(end - start);
    // Copied part by part, because the next part is read into the same window.
    for (let at = start; at < end; ) {
      const part = this.#part(at, end);
      bytes.set(part, at - start);
      at += part.length;
    }
    return bytes;
  }

  #part(start: number, end: number): Uint8Array {
    const fileStart = this.#head.length;
    const tailStart = fileStart + this.#spool.length;
    if (start < fileStart) return this.#head.subarray(start, Math.min(end, fileStart));
    if (start >= tailStart) return this.#tail.subarray(start - tailStart, end - tailStart);
    const at = start - fileStart;
    if (at < this.#windowStart || at >= this.#windowStart + this.#windowBytes) {
      this.#windowStart = at;
      this.#windowBytes = this.#spool.read(at, this.#window).length;
    }
    const from = at - this.#windowStart;
    return this.#window.subarray(from, Math.min(this.#windowBytes, from + end - start));
  }
}
