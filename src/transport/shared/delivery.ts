/**
 * What a client is sent, and what it has not read of it.
 *
 * Owns: where an answer waits for its reader: in memory, then in a temporary file. Does not own: the socket.
 * Invariant: bytes leave in order; of what a client has not read no more than MEMORY_BYTES and one run's block are in memory.
 *
 * Why: PGlite runs a statement in one go and cannot wait for a reader meanwhile.
 */

import type { SocketConnection } from "@electric-sql/pglite-socket";
import { release, takeBlock } from "../output.ts";
import { Spool } from "./spool.ts";

// What may wait in memory before the temporary file is opened.
const MEMORY_BYTES = 4 * 1024 * 1024;

/** See the head of the file. */
export class Delivery {
  readonly #connection: SocketConnection;
  readonly #limitBytes: number;
  #spool: Spool | undefined;
  #emptied: Promise<void> | undefined;
  // How far the file has been read.
  #read = 0;

  /** At most `limitBytes` wait in the file. */
  constructor(connection: SocketConnection, limitBytes: number) {
    this.#connection = connection;
    this.#limitBytes = limitBytes;
  }

  /** As that of the connection. Throws when the file cannot take it. */
  send(bytes: Uint8Array, written?: () => void): void {
    if (!this.#spool && this.#connection.socket.writableLength <= MEMORY_BYTES) {
      this.#sendNow(bytes, written);
      return;
    }
    if (!this.#spool) {
      this.#spool = new Spool();
      this.#read = 0;
      this.#emptied = this.#empty(this.#spool).catch((error: unknown) => this.#failed(error));
    }
    if (this.#spool.length + bytes.length > this.#limitBytes) {
      throw new Error(`the answer is not read, and longer than the ${this.#limitBytes} bytes that are kept of one`);
    }
    this.#spool.append(bytes);
    written?.();
  }

  // Node says that it has written something when a run is over; what the system has taken is known at once.
  #sendNow(bytes: Uint8Array, written?: () => void): void {
    let whenWritten = written;
    const once = (): void => {
      whenWritten?.();
      whenWritten = undefined;
    };
    this.#connection.send(bytes, once);
    if (this.#connection.socket.writableLength === 0) once();
  }

  /** Resolves when nothing is in the file any more; undefined when nothing is. */
  get emptied(): Promise<void> | undefined {
    return this.#emptied;
  }

  /** Resolves when the client has read enough for more; undefined when it has. */
  drained(): Promise<void> | undefined {
    return this.#emptied ?? this.#connection.drained();
  }

  /** Forgets what is in the file. Idempotent. */
  discard(): void {
    this.#spool?.discard();
    this.#spool = undefined;
    this.#emptied = undefined;
  }

  #failed(error: unknown): void {
    this.discard();
    this.#connection.terminate({
      severity: "FATAL",
      code: "58030",
      message: `could not keep the answer: ${String(error)}`,
    });
  }

  async #empty(spool: Spool): Promise<void> {
    for (;;) {
      await this.#connection.drained();
      if (this.#spool !== spool) return;
      if (this.#read === spool.length) break;
      const block = takeBlock();
      const bytes = spool.read(this.#read, block);
      this.#read += bytes.length;
      this.#connection.send(bytes, () => release(block));
    }
    this.discard();
  }
}
