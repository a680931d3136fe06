/**
 * The log of the command line: lines on stderr.
 *
 * Owns: their form and the level. Does not own: what is worth a line.
 * Invariant: stdout is never written to.
 */
import type { Log, LogLevel } from "../options.ts";
import { escapeForTerminal } from "../system/terminal-text.ts";

const rank: Record<LogLevel, number> = { silent: 0, error: 1, info: 2, debug: 3 };

/** A log that writes lines up to `level` to `stream`. */
export function logTo(stream: { write(text: string): unknown }, level: LogLevel): Log {
  return (of, message) => {
    if (rank[of] > rank[level]) return;
    const prefix = of === "error" ? "pglite-devdb: error: " : "pglite-devdb: ";
    stream.write(`${prefix}${escapeForTerminal(message).trimEnd().replaceAll("\n", "\n  ")}\n`);
  };
}
