/**
 * The progress of `pglite-devdb repro` on stderr.
 *
 * Owns: what is written there and how often. Does not own: the counting.
 * Invariant: a terminal gets one line that is written again and again and is empty at the end; anything else gets whole
 * lines, few of them.
 */
import { share } from "../trace/repro/report.ts";
import type { ReproTarget } from "../trace/repro.ts";

const everyMs = { terminal: 200, lines: 10_000 };
const eraseLine = "\r\u001b[K";

/** Writes progress to a stream. */
export class ReproProgress {
  readonly #stream: { write(text: string): unknown; isTTY?: boolean };
  readonly #secondsEach: number;
  #target: ReproTarget | undefined;
  #writtenAt = 0;

  constructor(stream: { write(text: string): unknown; isTTY?: boolean }, secondsEach: number) {
    this.#stream = stream;
    this.#secondsEach = secondsEach;
    this.#write("starting a server of each library");
  }

  /** Takes note of the counts; writes them if it is time. */
  update(target: ReproTarget, counts: { corrupted: number; total: number }, seconds: number): void {
    const now = performance.now();
    const due = now - this.#writtenAt >= (this.#stream.isTTY ? everyMs.terminal : everyMs.lines);
    if (target === this.#target && !due) return;
    this.#target = target;
    this.#writtenAt = now;
    this.#write(`${target}: ${Math.floor(seconds)} of ${this.#secondsEach} s, corrupted ${share(counts)}`);
  }

  /** Leaves the terminal's line empty. */
  end(): void {
    if (this.#stream.isTTY) this.#stream.write(eraseLine);
  }

  #write(text: string): void {
    this.#stream.write(this.#stream.isTTY ? `${eraseLine}repro: ${text}` : `pglite-devdb: repro: ${text}\n`);
  }
}
