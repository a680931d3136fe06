/**
 * The log of the command line: lines on stderr.
 *
 * Owns: their form and the level. Does not own: what is worth a line.
 * Invariant: stdout is never written to.
 */
import type { Log, LogLevel } from "../options.ts";
import { escapeForTerminal } from "../system/terminal-text.ts";

const rank: Record<LogLevel, number> = { silent: 0, error: 1, info: 2, debug: 3 };

/** The most bytes that are buffered for a pipe without a reader. */
const mostKeptBytes = 16 * 1024 ** 2;

/** Where a log goes. */
interface LogStream {
  write(text: string): unknown;
  /** The bytes that are not yet written. */
  readonly writableLength?: number;
}

/** Makes a log that writes lines up to `level` to `stream`. It leaves out lines beyond the buffer's limit, and counts them. */
export function logTo(stream: LogStream, level: LogLevel): Log {
  let left = 0;
  return (of, message) => {
    if (rank[of] > rank[level]) return;
    if ((stream.writableLength ?? 0) > mostKeptBytes) {
      left++;
      return;
    }
    if (left > 0) stream.write(`pglite-devdb: left out ${left} lines, because nothing read the log\n`);
    left = 0;
    const prefix = of === "error" ? "pglite-devdb: error: " : "pglite-devdb: ";
    stream.write(`${prefix}${escapeForTerminal(message).trimEnd().replaceAll("\n", "\n  ")}\n`);
  };
}
