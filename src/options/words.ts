/**
 * The words that options take, and the types of their functions.
 *
 * Owns: these types. Does not own: which option takes which (`../options.ts`).
 */

/** The words of `--output`. */
export type OutputForm = "text" | "json" | "env";

/** The words of `--log-level`, from nothing to everything. */
export type LogLevel = "silent" | "error" | "info" | "debug";

/** The words of `--sessions`. As the default, `isolated` means: where it can be had, and `shared` with a warning where not. */
export type Sessions = "isolated" | "shared";

/** The words of `--fsync`, `--branches` and `--resets`. */
export type OnOff = "on" | "off";

/** The words of `--tls`. */
export type TlsMode = "off" | "auto";

/** Receives one line of log, without a line break. */
export type Log = (level: Exclude<LogLevel, "silent">, message: string) => void;

/** In the library: what is done with a database through its URL. */
export type DatabaseFunction = (url: string) => unknown;
