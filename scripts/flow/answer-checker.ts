/**
 * Checking a server's answers while they come, whatever their size.
 *
 * Owns: the answers that one connection is owed, and the comparison. Does not own: the socket, what is asked.
 * Invariant: nothing large is kept; every byte of a row is compared; the first problem is final.
 */
import { readErrorFields } from "../../src/wire/query-results.ts";
import type { Expected } from "./requests.ts";

const headBytes = 5;
/** A DataRow of one column: head, number of columns, length of the value. */
const rowHeadBytes = headBytes + 6;
const longestSmall = 20_000;
const patterns = new Map<number, Buffer>();

function patternOf(letter: number): Buffer {
  const known = patterns.get(letter) ?? Buffer.alloc(65_536, letter);
  patterns.set(letter, known);
  return known;
}

/** The answers of one connection. */
export class AnswerChecker {
  #owed: Expected[] = [];
  /** How far the answer that comes now has come: the next of its types, and how many rows. */
  #at = 0;
  #rows = 0;
  #isSkipping = false;
  /** What is known of the message that comes now. */
  readonly #head = Buffer.alloc(rowHeadBytes);
  #headLength = 0;
  #fillLeft = 0;
  #tailLeft = 0;
  #small: Buffer[] | undefined;
  #smallLeft = 0;
  /** How many cancels may still hit a statement, and how many have. */
  cancels = 0;
  cancelled = 0;
  /** The first thing that was wrong. */
  problem: string | undefined;
  /** The FATAL error that it ended with. */
  fatal: string | undefined;

  /** Whether everything has been answered. */
  get isDone(): boolean {
    return this.#owed.length === 0;
  }

  /** What is owed, in words. */
  describe(): string {
    const [first] = this.#owed;
    if (!first) return "nothing is owed";
    const where = `${first.kind} ${first.types}, at ${first.types[this.#at] ?? "its end"}, ${this.#rows} of ${first.rows} rows`;
    const skipping = this.#isSkipping ? ", skipping to Sync" : "";
    return `${this.#owed.length} answers owed, the first: ${where}${skipping}`;
  }

  /** No cancel of what came before may hit anything any more. */
  endPart(): void {
    this.cancels = 0;
    this.cancelled = 0;
  }

  owe(expected: readonly Expected[]): void {
    for (const one of expected) {
      // What comes before the Sync is not even looked at by the server.
      const isSkipped = this.#isSkipping && this.isDone && one.kind !== "sync";
      if (!isSkipped) this.#owed.push(one);
    }
  }

  /** Compares; after a problem it does nothing. */
  feed(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && this.problem === undefined; ) {
      if (this.#fillLeft > 0) at += this.#fill(chunk, at);
      else if (this.#tailLeft > 0) at += this.#tail(chunk[at]!);
      else if (this.#small) at += this.#collect(chunk, at);
      else at += this.#begin(chunk, at);
    }
  }

  #begin(chunk: Buffer, from: number): number {
    // A row's head is looked at as a whole; other messages are shorter than that.
    const isRow = (this.#headLength > 0 ? this.#head[0] : chunk[from]) === 0x44;
    const wanted = isRow && this.#expects?.text === undefined ? rowHeadBytes : headBytes;
    const taken = Math.min(wanted - this.#headLength, chunk.length - from);
    chunk.copy(this.#head, this.#headLength, from, from + taken);
    this.#headLength += taken;
    if (this.#headLength < wanted) return taken;
    this.#headLength = 0;
    const type = String.fromCharCode(this.#head[0]!);
    const length = this.#head.readInt32BE(1) - 4;
    if (wanted === rowHeadBytes) this.#beginRow(length);
    else if (type === "d") this.#beginCopyData(length);
    else if (length < 0 || length > longestSmall) this.#fail(`a ${type} of ${length} bytes`);
    else if (length === 0) this.#take(type, Buffer.alloc(0));
    else {
      this.#small = [];
      this.#smallLeft = length;
    }
    return taken;
  }

  get #expects(): Expected | undefined {
    return this.#owed[0];
  }

  #beginRow(length: number): void {
    const size = this.#head.readInt32BE(7);
    const wanted = this.#nextRow("D");
    if (size !== wanted || length !== size + 6 || this.#head.readInt16BE(5) !== 1) {
      this.#fail(`a row of ${size} bytes in a DataRow of ${length} instead of ${wanted}`);
    }
    this.#fillLeft = size;
  }

  #beginCopyData(length: number): void {
    const wanted = this.#nextRow("d");
    if (length !== wanted + 1) this.#fail(`a CopyData of ${length} bytes instead of ${wanted + 1}`);
    this.#fillLeft = wanted;
    this.#tailLeft = 1;
  }

  #nextRow(type: string): number {
    const expected = this.#expects;
    if (!expected || expected.types[this.#at] !== type || this.#rows >= expected.rows) {
      this.#unexpected(type);
      return -1;
    }
    this.#rows++;
    if (this.#rows < expected.rows) return expected.size;
    this.#at++;
    return expected.lastSize;
  }

  #fill(chunk: Buffer, from: number): number {
    const pattern = patternOf(this.#current);
    const length = Math.min(this.#fillLeft, chunk.length - from, pattern.length);
    if (pattern.compare(chunk, from, from + length, 0, length) !== 0) {
      this.#fail(`a row of ${String.fromCharCode(this.#current)} has other bytes in it`);
    }
    this.#fillLeft -= length;
    return length;
  }

  get #current(): number {
    return this.#expects!.letter;
  }

  #tail(byte: number): number {
    if (byte !== 0x0a) this.#fail("a line of COPY ends with another byte");
    this.#tailLeft = 0;
    return 1;
  }

  #collect(chunk: Buffer, from: number): number {
    const part = chunk.subarray(from, from + this.#smallLeft);
    this.#small!.push(part);
    this.#smallLeft -= part.length;
    if (this.#smallLeft > 0) return part.length;
    const body = this.#small!.length === 1 ? part : Buffer.concat(this.#small!);
    this.#small = undefined;
    this.#take(String.fromCharCode(this.#head[0]!), body);
    return part.length;
  }

  #take(type: string, body: Buffer): void {
    if (type === "S" || type === "N" || type === "A") return;
    const expected = this.#expects;
    if (type === "E") this.#takeError(body);
    else if (!expected || expected.types[this.#at] !== type) this.#unexpected(type);
    else this.#takeExpected(type, body, expected);
  }

  #takeExpected(type: string, body: Buffer, expected: Expected): void {
    if (type === "Z" && body.toString("latin1") !== "I") this.#fail(`ReadyForQuery says ${body.toString("latin1")}`);
    if (type === "C" && body.toString("latin1") !== `${expected.tag}\0`) {
      this.#fail(`CommandComplete says ${body.toString("latin1")} instead of ${expected.tag}`);
    }
    if (type === "D") {
      this.#rows++;
      if (body.toString("latin1", 6) !== expected.text) {
        this.#fail(`a row says ${body.toString("latin1", 6)} instead of ${expected.text}`);
      }
    }
    if (type === "C" && this.#rows !== expected.rows) this.#fail(`${this.#rows} rows instead of ${expected.rows}`);
    if (type === "Z") this.#isSkipping = false;
    this.#at++;
    if (this.#at === expected.types.length) this.#next();
  }

  #takeError(body: Buffer): void {
    const fields = readErrorFields(body);
    const code = fields.get("C") ?? "";
    if (fields.get("V") === "FATAL") {
      this.fatal = code;
      this.#fail(`FATAL ${code} ${fields.get("M")} ${fields.get("D") ?? ""}`);
      return;
    }
    const expected = this.#expects;
    const isCancelled = code === "57014" && this.cancels > 0;
    if (!expected || expected.kind === "sync" || (code !== expected.fails && !isCancelled)) {
      this.#fail(`${code} ${fields.get("M")} at ${this.describe()}`);
      return;
    }
    if (code === "57014") {
      this.cancels--;
      this.cancelled++;
    }
    if (expected.kind === "simple") {
      this.#at = expected.types.length - 1;
      return;
    }
    this.#isSkipping = true;
    const sync = this.#owed.findIndex(({ kind }) => kind === "sync");
    this.#owed.splice(0, sync < 0 ? this.#owed.length : sync);
    this.#reset();
  }

  #next(): void {
    this.#owed.shift();
    this.#reset();
  }

  #reset(): void {
    this.#at = 0;
    this.#rows = 0;
  }

  #unexpected(type: string): void {
    this.#fail(`an unexpected ${type}: ${this.describe()}`);
  }

  #fail(problem: string): void {
    this.problem ??= problem;
  }
}
