/**
 * One client of a play: a socket, and which messages came.
 *
 * Owns: the connection and the types of what it received. Does not own: when it does what (`player.ts`).
 * Invariant: contents are not kept, except for the key of a CancelRequest and whether the mark was seen; bytes that
 * are no protocol never throw.
 */
import { connect, type Socket } from "node:net";
import { encodeMessage } from "../../src/wire/frontend.ts";
import { MessageReader } from "../../src/wire/message-reader.ts";
import { readErrorFields } from "../../src/wire/query-results.ts";
import { mark } from "./frame.ts";
import type { Ending } from "./play.ts";

/** Where a server listens. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** A connection. */
export class FuzzClient {
  readonly #socket: Socket;
  readonly #reader = new MessageReader();
  /** The bytes to come before the next message that are none. */
  #oddBytes = 0;
  /** The types that came and that no wait has used up. */
  #types = "";
  #wake: (() => void) | undefined;
  /** The body of the BackendKeyData. */
  key: Buffer | undefined;
  hasMark = false;
  /** The SQLSTATE of a FATAL error. */
  fatal: string | undefined;
  isClosed = false;
  /** Whether this side has begun to close. */
  isLeaving = false;

  /** Begins to connect; what is written meanwhile is sent then. */
  constructor({ host, port }: Endpoint) {
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.on("error", () => {});
    this.#socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on("close", () => {
      this.isClosed = true;
      this.#notify();
    });
  }

  /** Resolves when the connection is made or is not. */
  async connected(): Promise<void> {
    while (this.#socket.connecting && !this.isClosed) {
      await Promise.race([this.#change(), new Promise((resolve) => this.#socket.once("connect", resolve))]);
    }
  }

  /** Writes; resolves when the system has the bytes, or has not taken them within a moment. */
  async write(bytes: Buffer): Promise<void> {
    if (this.isClosed || this.#socket.writableEnded) return;
    await withinMs(100, new Promise<void>((resolve) => this.#socket.write(bytes, () => resolve())));
  }

  /** Waits for one message of one of the types; resolves with whether it came within `limitMs`. */
  async take(types: string, limitMs: number): Promise<boolean> {
    if (types === "byte") this.#oddBytes++;
    const end = performance.now() + limitMs;
    for (;;) {
      if (types === "byte" ? this.#oddBytes === 0 : types === "mark" ? this.hasMark : this.#takeNow(types)) return true;
      const left = end - performance.now();
      if (this.isClosed || left <= 0) return false;
      await withinMs(left, this.#change());
    }
  }

  /** Reads nothing from now on. */
  stopReading(): void {
    this.#socket.pause();
  }

  /** Leaves; `stay` does nothing. */
  leave(how: Ending): void {
    if (how === "stay" || this.isClosed) return;
    this.isLeaving = true;
    if (how === "rst") this.#socket.resetAndDestroy();
    else if (how === "fin") this.#socket.destroySoon();
    else if (how === "half-close") this.#socket.end();
    else this.#socket.end(encodeMessage("X"), () => this.#socket.destroySoon());
  }

  /** Gone at once. */
  destroy(): void {
    this.#socket.resetAndDestroy();
  }

  /** Resolves with whether the connection is closed within `limitMs`. */
  async closed(limitMs: number): Promise<boolean> {
    const end = performance.now() + limitMs;
    while (!this.isClosed && performance.now() < end) await withinMs(end - performance.now(), this.#change());
    return this.isClosed;
  }

  #takeNow(types: string): boolean {
    const at = [...this.#types].findIndex((type) => types.includes(type));
    if (at < 0) return false;
    this.#types = this.#types.slice(at + 1);
    return true;
  }

  #receive(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#oddBytes > 0 && bytes.length > 0) {
      this.#oddBytes--;
      bytes = bytes.subarray(1);
    }
    try {
      for (const { type, body } of this.#reader.push(bytes)) {
        this.#types = (this.#types + type).slice(-10_000);
        if (type === "K") this.key = Buffer.from(body);
        else if (type === "D" && body.length < 100 && body.includes(mark)) this.hasMark = true;
        else if (type === "E") this.#noteError(body);
      }
    } catch {
      // A single byte as an answer to a damaged packet: the rest of this stream is not looked at.
    }
    this.#notify();
  }

  #noteError(body: Buffer): void {
    const fields = readErrorFields(body);
    if (fields.get("V") === "FATAL") this.fatal = fields.get("C") ?? "no SQLSTATE";
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      const before = this.#wake;
      this.#wake = () => {
        before?.();
        resolve();
      };
    });
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

/** Resolves with whether `work` was done within `limitMs`. */
export async function withinMs(limitMs: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  try {
    return await Promise.race([work.then(() => true), limit]);
  } finally {
    clearTimeout(timer);
  }
}
