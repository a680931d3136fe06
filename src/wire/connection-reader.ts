/**
 * Both directions of one connection, cut into messages, from its first byte on.
 *
 * Owns: the packets of the startup phase and the one-byte answers to requests for encryption. Does not own: what follows
 * (`message-reader.ts`), what a message means.
 * Invariant: every byte belongs to one message; after bytes that cannot be the protocol a direction has none any more.
 */
import { messageName, packetName, type Side } from "./message-names.ts";
import { MessageReader } from "./message-reader.ts";

/** A message of either side. A packet of the startup phase has no type, and its body begins with its code. */
export interface WireMessage {
  readonly side: Side;
  readonly type: string;
  readonly name: string;
  readonly body: Buffer;
}

/** MAX_STARTUP_PACKET_LENGTH (libpq/pqcomm.h). What says that it is longer is no such packet, and is not waited for. */
const longestPacket = 10_000;

const empty: Buffer = Buffer.alloc(0);

/** Reads one connection. */
export class ConnectionReader {
  readonly #readers = { frontend: new MessageReader(), backend: new MessageReader() };
  readonly #lost = new Set<Side>();
  /** What has come of a packet; undefined once the startup phase is over. */
  #packet: Buffer | undefined = empty;
  /** How many requests for encryption have no answer. */
  #asked = 0;

  /** Takes the next bytes of a side, and returns what they complete. */
  push(side: Side, chunk: Buffer): WireMessage[] {
    if (this.#lost.has(side)) return [];
    const messages: WireMessage[] = [];
    let bytes = chunk;
    if (side === "frontend" && this.#packet) bytes = this.#packets(Buffer.concat([this.#packet, chunk]), messages);
    for (; side === "backend" && this.#asked > 0 && bytes.length > 0; this.#asked--) {
      messages.push({ side, type: "", name: bytes[0] === 0x4e ? "no" : "yes", body: empty });
      bytes = bytes.subarray(1);
    }
    if (bytes.length === 0) return messages;
    try {
      for (const { type, body } of this.#readers[side].push(bytes)) {
        messages.push({ side, type, name: messageName(side, type), body });
      }
    } catch {
      this.#lost.add(side);
    }
    return messages;
  }

  /** Whether what this side sends cannot be read any more. */
  isLost(side: Side): boolean {
    return this.#lost.has(side);
  }

  /** Takes packets off the beginning; returns what is behind the last one. */
  #packets(bytes: Buffer, messages: WireMessage[]): Buffer {
    let at = 0;
    while (this.#packet && at + 8 <= bytes.length) {
      const length = bytes.readInt32BE(at);
      if (length < 8 || length > longestPacket) {
        this.#lost.add("frontend");
        return empty;
      }
      if (at + length > bytes.length) break;
      const name = packetName(bytes.readInt32BE(at + 4));
      messages.push({ side: "frontend", type: "", name, body: bytes.subarray(at + 4, at + length) });
      if (name === "SSLRequest" || name === "GSSENCRequest") this.#asked++;
      if (name === "StartupMessage") this.#packet = undefined;
      at += length;
    }
    const rest = bytes.subarray(at);
    if (!this.#packet) return rest;
    this.#packet = rest;
    return empty;
  }
}
