/**
 * A stream of backend bytes, cut into messages.
 *
 * Owns: finding the ends of messages, wherever the stream is cut. Does not own: what a message means.
 * Invariant: every byte belongs to exactly one message; the bodies are views of the chunks and are not written to.
 */
import { HeldBytes } from "./held-bytes.ts";

/** A backend message: its type letter and its body without type and length. */
export interface BackendMessage {
  readonly type: string;
  readonly body: Buffer;
}

const headBytes = 5;

/** Cuts one connection's stream. */
export class MessageReader {
  readonly #held = new HeldBytes();

  /** Takes the next bytes and returns the messages that they complete. Throws for a length that no message can have. */
  push(chunk: Buffer): BackendMessage[] {
    const bytes = this.#held.take(chunk);
    if (!bytes) return [];
    const messages: BackendMessage[] = [];
    let at = 0;
    let needed = headBytes;
    while (at + headBytes <= bytes.length) {
      const length = bytes.readInt32BE(at + 1);
      if (length < 4) throw new Error(`a message cannot have the length ${length}`);
      const end = at + 1 + length;
      if (end > bytes.length) {
        needed = end - at;
        break;
      }
      messages.push({ type: String.fromCharCode(bytes[at]!), body: bytes.subarray(at + headBytes, end) });
      at = end;
    }
    this.#held.hold(bytes.subarray(at), needed);
    return messages;
  }
}
