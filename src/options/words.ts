/**
 * The values of all options: the words that they take, the types of their functions.
 *
 * Owns: these types. Does not own: what is accepted, and the defaults (`../options.ts`).
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

/** Is told what a start is at, for a person who waits; undefined while code that may write to the terminal itself runs. */
export type Progress = (doing: string | undefined) => void;

/** In the library: what is done with a database through its URL. */
export type DatabaseFunction = (url: string) => unknown;

/** The value of every option; times are in milliseconds and 0 means never. */
export interface OptionValues {
  port: number;
  host: string;
  socketDir: string | undefined;
  password: string | undefined;
  tls: TlsMode;
  tlsCert: string | undefined;
  tlsKey: string | undefined;
  insecure: boolean;
  /** `pglite`, `postgres` or a URL. */
  engine: string;
  db: string;
  /** Undefined: the order of code points. */
  icuLocale: string | undefined;
  fsync: OnOff;
  sessions: Sessions;
  branches: OnOff;
  branchTtlMs: number;
  perGitBranch: boolean;
  seedRandom: number | undefined;
  /** Undefined: `on` in memory in the library, else `off`. */
  resets: OnOff | undefined;
  maxConnections: number;
  /** Undefined: a half of the memory that there is. */
  memoryLimitMb: number | undefined;
  idleTimeoutMs: number;
  stallTimeoutMs: number;
  /** Undefined: `transactionIdleDefaultsMs`. */
  transactionIdleTimeoutMs: number | undefined;
  user: string;
  /** Undefined: that of the user's name. */
  database: string | undefined;
  /** Directories, or one word: `auto` or `none`. */
  migrations: readonly string[];
  /** A command line, or in the library a function; the seed a file. */
  setup: string | DatabaseFunction | undefined;
  /** Files, directories and patterns, in order. */
  seed: readonly (string | DatabaseFunction)[];
  extensions: readonly string[];
  /** `NAME=VALUE`, each. */
  set: readonly string[];
  cache: boolean;
  /** Undefined: none is logged. */
  logSlowMs: number | undefined;
  trace: string | undefined;
  traceLimitMb: number;
  traceOnFailure: string | undefined;
  graceMs: number;
  output: OutputForm;
  logLevel: LogLevel;
}
