/**
 * The engines: PGlite, a native PostgreSQL that is started here, a server that is elsewhere.
 *
 * Owns: which one the options ask for, and what there is to know of each beside its start. Does not own: the starts (`open.ts`, `servers/`).
 * Invariant: this is the only place that tells them apart.
 */
import { resolve } from "node:path";
import type { ResolvedOptions } from "../options.ts";
import { type OpenContext, type OpenedDevDb, openDevDb } from "./open.ts";
import { addressOf, serverElsewhere } from "./servers/elsewhere.ts";
import { startNative } from "./servers/native.ts";
import { openOnServer } from "./servers/open-server.ts";
import { type Refusals, refusedByNative, refusedByUrl, refuseOptions } from "./servers/refusals.ts";

/** One of them. */
interface EngineKind {
  /** For messages: the value of `--engine`, without a password. */
  readonly name: string;
  readonly isPglite: boolean;
  /** The options that it has no place for. */
  readonly refuses: Refusals;
  /** What tests have branches of, where nothing is said; undefined: what its URL names. */
  readonly databaseOfTests: string | undefined;
  /** Where the data is, for a person. */
  describeData(options: ResolvedOptions, cwd: string): string;
  open(options: ResolvedOptions, context: OpenContext): Promise<OpenedDevDb>;
}

const databaseOfTests = "test";

const pglite: EngineKind = {
  name: "pglite",
  isPglite: true,
  refuses: {},
  databaseOfTests,
  describeData: ({ db }, cwd) =>
    db === "memory://"
      ? "in memory, gone when this process ends. To keep it: pglite-devdb --db ./data"
      : resolve(cwd, db),
  open: openDevDb,
};

const native: EngineKind = {
  name: "postgres",
  isPglite: false,
  refuses: refusedByNative,
  databaseOfTests,
  describeData: ({ db }, cwd) =>
    db === "memory://"
      ? "in a temporary directory, gone when this process ends. To keep it: --db ./data"
      : resolve(cwd, db),
  open: (options, context) => openOnServer(options, context, () => startNative(options, context)),
};

const elsewhere: EngineKind = {
  name: "postgresql://…",
  isPglite: false,
  refuses: refusedByUrl,
  databaseOfTests: undefined,
  describeData: (options) => {
    const { host, port, database } = addressOf(options);
    return `in ${database} on the server at ${host}:${port}, which is left running`;
  },
  open: (options, context) => openOnServer(options, context, () => serverElsewhere(options, context.cleanup)),
};

/** The engine that the options ask for. */
export function engineOf({ engine }: Pick<ResolvedOptions, "engine">): EngineKind {
  return { pglite, postgres: native }[engine] ?? elsewhere;
}

/** Where the server is that the options name; undefined for one that is started here. */
export function urlOfEngine(options: Pick<ResolvedOptions, "engine">): string | undefined {
  return engineOf(options) === elsewhere ? options.engine : undefined;
}

/** Runs a start on the engine that the options ask for. Rejects with a `UsageError` for an option that it has no place for. */
export async function openOnEngine(options: ResolvedOptions, context: OpenContext): Promise<OpenedDevDb> {
  const { name, refuses, open } = engineOf(options);
  refuseOptions(options, refuses, name);
  return open(options, context);
}
