/**
 * The backend's stream, read while it passes.
 *
 * Owns: finding message boundaries in the engine's output, whatever the chunks, and acting on a verdict per message.
 * Does not own: the verdicts (the visitor).
 * Invariant: bytes of forwarded messages pass unchanged and in order; nothing of a dropped message passes.
 */
import { readInt32, Type } from "./frames.ts";
import { HeldBytes } from "./held-bytes.ts";

const headBytes = 5;

/** What to do with a message: pass it on while it comes, drop it, or hand it over whole first. */
export type Verdict = "forward" | "drop" | "inspect";

/** Decides about messages. */
export interface ReplyVisitor {
  /**
   * Called with the type of each message but DataRow and CopyData, which are always forwarded. May be asked again for
   * the same message while that is incomplete, if the answer was `inspect`.
   */
  verdict(type: number): Verdict;
  /** A whole message, valid during the call; returns what to pass on in its place, or undefined for the message. */
  inspect(type: number, message: Uint8Array): Uint8Array | undefined;
}

/** Reads one engine's output for one visitor. */
export class ReplyReader {
  readonly #visitor: ReplyVisitor;
  readonly #forward: (bytes: Uint8Array) => void;
  #verdict: Verdict = "forward";
  #remaining = 0;
  // A header, or a message to inspect, that is still incomplete.
  readonly #held = new HeldBytes();

  /** `forward` gets views into the bytes given to `feed`: it must copy what it keeps. */
  constructor(visitor: ReplyVisitor, forward: (bytes: Uint8Array) => void) {
    this.#visitor = visitor;
    this.#forward = forward;
  }

  /** Reads the next bytes of the stream. */
  feed(chunk: Uint8Array): void {
    // The chunk is the caller's: what is held of it is a copy.
    const data = this.#held.isEmpty ? chunk : this.#held.take(Buffer.from(chunk));
    if (!data) return;
    let needed = headBytes;
    let at = 0;
    // Everything in [from, at) is to be forwarded: neighbours pass in one piece.
    let from = 0;
    while (at < data.length) {
      if (this.#remaining > 0) {
        const length = Math.min(this.#remaining, data.length - at);
        this.#remaining -= length;
        at += length;
        if (this.#verdict === "drop") from = at;
        continue;
      }
      if (data.length - at < headBytes) break;
      const type = data[at]!;
      const length = readInt32(data, at + 1) + 1;
      this.#verdict = type === Type.DataRow || type === Type.CopyData ? "forward" : this.#visitor.verdict(type);
      if (this.#verdict === "inspect") {
        if (data.length - at < length) {
          needed = length;
          break;
        }
        const instead = this.#visitor.inspect(type, data.subarray(at, at + length));
        if (instead) {
          if (at > from) this.#forward(data.subarray(from, at));
          this.#forward(instead);
          from = at + length;
        }
        at += length;
        continue;
      }
      if (this.#verdict === "drop") {
        if (at > from) this.#forward(data.subarray(from, at));
        from = at;
      }
      this.#remaining = length;
    }
    if (at > from) this.#forward(data.subarray(from, at));
    if (at < data.length) this.#held.hold(Buffer.from(data.subarray(at)), needed);
  }
}
