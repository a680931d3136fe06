/**
 * What a command is at, as the last line of a terminal.
 *
 * Owns: when there is such a line, and where it is on the screen. Does not own: the words (whoever is at work calls `doing`), the log
 * lines, which pass through here on their way to the stream.
 * Invariant: where nobody looks (a file, a pipe, CI, a log that is turned off) nothing of it is written; a line of the log is written
 * whole, on a line of its own; when it has ended nothing of it is left on the screen.
 */
import { stripVTControlCharacters } from "node:util";
import type { Progress, ResolvedOptions } from "../options.ts";

/** The part of a terminal's stream that is needed. */
interface Stream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly writableLength?: number;
  readonly columns?: number;
}

/** What takes less needs no word. */
const shownAfterMs = 500;
const everyMs = 200;
const eraseLine = "\r\u001b[K";
/** What a terminal of unknown width is taken to have. */
const usualColumns = 80;
const ascii = 0x7f;

/** Whether anybody looks who would not rather have it quiet. */
function isWatched(
  { isTTY }: Stream,
  { CI, TERM }: NodeJS.ProcessEnv,
  { logLevel, output }: Pick<ResolvedOptions, "logLevel" | "output">,
): boolean {
  const isCi = CI !== undefined && !/^(|0|false)$/i.test(CI);
  const isAsked = logLevel !== "silent" && logLevel !== "error" && output === "text";
  return isTTY === true && TERM !== "dumb" && !isCi && isAsked;
}

/** See the head of the file. */
export class ProgressLine {
  readonly #stream: Stream;
  readonly #began = performance.now();
  readonly #timer: NodeJS.Timeout | undefined;
  #doing: string | undefined;
  #isDrawn = false;

  constructor(stream: Stream, environment: NodeJS.ProcessEnv, options: Pick<ResolvedOptions, "logLevel" | "output">) {
    this.#stream = stream;
    if (isWatched(stream, environment, options)) this.#timer = setInterval(() => this.#draw(), everyMs).unref();
  }

  /** What is shown from now on. */
  readonly doing: Progress = (doing) => {
    this.#doing = doing && stripVTControlCharacters(doing).replaceAll(/\p{Cc}+/gu, " ");
    if (doing === undefined) this.#erase();
  };

  get writableLength(): number {
    return this.#stream.writableLength ?? 0;
  }

  /** Writes whole lines to the stream, above the line. */
  write(text: string): void {
    this.#erase();
    this.#stream.write(text);
  }

  /** Takes the line away for good; may be called again. */
  end(): void {
    clearInterval(this.#timer);
    this.#doing = undefined;
    this.#erase();
  }

  #draw(): void {
    const ms = performance.now() - this.#began;
    if (this.#doing === undefined || ms < shownAfterMs) return;
    const seconds = ` (${Math.floor(ms / 1000)} s)`;
    // One less than there are: some terminals go on to the next line when the last one is taken.
    const room = (this.#stream.columns || usualColumns) - 1 - seconds.length;
    this.#stream.write(`${eraseLine}${cut(`pglite-devdb: ${this.#doing}`, room)}${seconds}`);
    this.#isDrawn = true;
  }

  #erase(): void {
    if (this.#isDrawn) this.#stream.write(eraseLine);
    this.#isDrawn = false;
  }
}

/** As much as fits; what is not ASCII may be two columns wide. */
function cut(text: string, columns: number): string {
  let taken = "";
  let left = columns;
  for (const character of text) {
    left -= character.codePointAt(0)! > ascii ? 2 : 1;
    if (left < 1) return `${taken}…`;
    taken += character;
  }
  return taken;
}
