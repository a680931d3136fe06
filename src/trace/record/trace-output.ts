/**
 * A trace that is made by a command which may be ended before it has one.
 *
 * Owns: the file beside its place, which it is written into. Does not own: the file's form (`trace-file.ts`).
 * Invariant: in its place there is what was there before, until a whole one is put there.
 */
import { renameSync, rmSync } from "node:fs";
import { checkTraceFile, createTraceFile, removeTraceFile } from "./trace-file.ts";

/** See the head of the file. */
export class TraceOutput {
  readonly #file: string;
  readonly #beside: string;
  readonly #option: string;
  #isOver = false;

  /** Throws a `UsageError` where it cannot be written, as `createTraceFile`. */
  constructor(file: string, option: string, source?: string) {
    checkTraceFile(file, option, source);
    this.#file = file;
    this.#beside = `${file}.part`;
    this.#option = option;
    createTraceFile(this.#beside, option, source, file);
    removeTraceFile(this.#beside);
  }

  /** A new file, in the place of the last one. Throws when it is over. */
  begin(): string {
    if (this.#isOver) throw new Error(`${this.#file} is not written any more`);
    createTraceFile(this.#beside, this.#option);
    return this.#beside;
  }

  /** What was written last comes to its place. */
  keep(): void {
    if (this.#isOver) return;
    renameSync(this.#beside, this.#file);
    this.#isOver = true;
    rmSync(`${this.#file}.1`, { force: true });
  }

  /** Gives up what has not come to its place. Idempotent. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    removeTraceFile(this.#beside);
  }
}
