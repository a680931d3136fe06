/**
 * What the engine writes, on its way to a client's socket.
 *
 * Owns: gathering many small writes into few larger ones. Does not own: what the client has not read (the socket, `shared/delivery.ts`).
 * Invariant: bytes leave in order, and each is copied once out of the engine's memory. A block belongs to one output, or to a
 * socket until that has written it, or to nobody.
 */
import type { SocketConnection } from "@electric-sql/pglite-socket";

const SMALL_OUTPUT_BYTES = 4000;
const OUTPUT_BLOCK_BYTES = 64 * 1024;
const EMPTY = Buffer.alloc(0);

// A large result would leave a block behind for every 64 KB of it, which V8 looks for as often.
const freeBlocks: Buffer[] = [];
const MAX_FREE_BLOCKS = 64;

/** The answer of one run for one connection. */
export class Output {
  readonly #connection: Pick<SocketConnection, "send">;
  #block: Buffer = EMPTY;
  #length = 0;
  /** Gets copies of what would be sent; it is sent nowhere else then. */
  diverted: ((bytes: Uint8Array) => void) | undefined;

  constructor(connection: Pick<SocketConnection, "send">) {
    this.#connection = connection;
  }

  /** Copies `data`. */
  write(data: Uint8Array): void {
    if (this.#length === 0 && this.#block.length === 0 && data.length <= SMALL_OUTPUT_BYTES) {
      // Most answers come in one piece.
      this.#block = Buffer.from(data);
      this.#length = data.length;
      return;
    }
    if (this.#length + data.length > this.#block.length) this.#grow(data.length);
    this.#block.set(data, this.#length);
    this.#length += data.length;
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** Sends what is held. */
  flush(): void {
    const block = this.#block;
    const bytes = block.subarray(0, this.#length);
    this.#block = EMPTY;
    this.#length = 0;
    if (bytes.length === 0) return;
    if (this.diverted) this.diverted(Buffer.from(bytes));
    else if (block.length === OUTPUT_BLOCK_BYTES) this.#connection.send(bytes, () => release(block));
    else this.#connection.send(bytes);
  }

  #grow(bytes: number): void {
    if (this.#length + bytes > OUTPUT_BLOCK_BYTES) this.flush();
    const first = this.#block.subarray(0, this.#length);
    if (this.#length + bytes <= SMALL_OUTPUT_BYTES) this.#block = Buffer.allocUnsafe(SMALL_OUTPUT_BYTES);
    else if (bytes > OUTPUT_BLOCK_BYTES) this.#block = Buffer.allocUnsafe(bytes);
    else this.#block = takeBlock();
    if (this.#length > 0) this.#block.set(first);
  }
}

/** A block that is nobody's. */
function takeBlock(): Buffer {
  return freeBlocks.pop() ?? Buffer.allocUnsafe(OUTPUT_BLOCK_BYTES);
}

/** Nobody has `block` any more. */
function release(block: Buffer): void {
  if (freeBlocks.length < MAX_FREE_BLOCKS) freeBlocks.push(block);
}
