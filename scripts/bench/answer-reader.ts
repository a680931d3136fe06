/**
 * Backend bytes into answers, as cheaply as a load client needs it.
 *
 * Owns: finding the ends of messages in a stream that is cut anywhere, and the few facts of an answer that are checked.
 * Does not own: what the right answer is (`load-client.ts`).
 * Invariant: nothing of a chunk is kept by reference after `push` returns, so a chunk may be reused by its owner.
 */
import { readErrorFields } from "../../src/wire/query-results.ts";

/** One answer, that is everything up to a ReadyForQuery. The object is reused: read it during the call. */
export interface Answer {
  rows: number;
  /** The first column of the first row, when it is a whole number in text form. */
  value: number | undefined;
  /** The first ErrorResponse, as `SQLSTATE message`. */
  error: string | undefined;
  /** Transaction status of the ReadyForQuery: `I`, `T` or `E`; empty when the server asked for a password instead. */
  status: string;
}

const [dataRow, errorResponse, readyForQuery, authentication] = Buffer.from("DEZR") as unknown as number[];
const empty = Buffer.alloc(0);

/** Cuts a stream of backend bytes into answers. */
export class AnswerReader {
  readonly #onAnswer: (answer: Answer) => void;
  readonly #answer: Answer = { rows: 0, value: undefined, error: undefined, status: "" };
  #carry: Buffer = empty;
  #skip = 0;

  constructor(onAnswer: (answer: Answer) => void) {
    this.#onAnswer = onAnswer;
  }

  /** An ErrorResponse that no ReadyForQuery has followed yet: the reason when the server hangs up. */
  get pendingError(): string | undefined {
    return this.#answer.error;
  }

  /** Takes the next bytes; calls back once for each answer that they complete. */
  push(bytes: Buffer): void {
    let chunk = bytes;
    if (this.#carry.length > 0) {
      chunk = Buffer.concat([this.#carry, bytes]);
      this.#carry = empty;
    }
    let at = Math.min(this.#skip, chunk.length);
    this.#skip -= at;
    while (at + 5 <= chunk.length) {
      const end = at + 1 + chunk.readInt32BE(at + 1);
      if (end > chunk.length && !this.#needsBody(chunk[at]!)) {
        this.#answer.rows++;
        this.#skip = end - chunk.length;
        return;
      }
      if (end > chunk.length) break;
      this.#read(chunk, at, end);
      at = end;
    }
    if (at < chunk.length) this.#carry = Buffer.from(chunk.subarray(at));
  }

  // The rows after the first are only counted: a long result must not be copied to be measured.
  #needsBody(type: number): boolean {
    return type !== dataRow || this.#answer.rows === 0;
  }

  #read(chunk: Buffer, at: number, end: number): void {
    const type = chunk[at];
    const answer = this.#answer;
    if (type === dataRow) {
      if (answer.rows++ === 0) answer.value = readNumber(chunk, at + 7, end);
    } else if (type === errorResponse) {
      const fields = readErrorFields(chunk.subarray(at + 5, end));
      answer.error ??= `${fields.get("C")} ${fields.get("M")}`;
    } else if (type === readyForQuery) {
      this.#finish(String.fromCharCode(chunk[at + 5]!));
    } else if (type === authentication && chunk.readInt32BE(at + 5) !== 0) {
      answer.error ??= `the server asks for authentication of type ${chunk.readInt32BE(at + 5)}`;
      this.#finish("");
    }
  }

  #finish(status: string): void {
    this.#answer.status = status;
    this.#onAnswer(this.#answer);
    this.#answer.rows = 0;
    this.#answer.value = undefined;
    this.#answer.error = undefined;
  }
}

function readNumber(chunk: Buffer, at: number, end: number): number | undefined {
  if (at + 4 > end) return undefined;
  const length = chunk.readInt32BE(at);
  if (length < 1 || length > 8 || at + 4 + length > end) return undefined;
  let value = 0;
  for (let i = at + 4; i < at + 4 + length; i++) {
    const digit = chunk[i]! - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value;
}
