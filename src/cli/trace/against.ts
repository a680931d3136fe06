/**
 * `--against`: the servers that a trace can be played to.
 *
 * Owns: starting and ending them. Does not own: the playing (`trace/replay/`).
 * Invariant: a server of ours, or of the stock library, is a new one with its data in memory; one that is given by its URL is
 * used as it is, and neither started nor ended.
 */
import { ExitCode, UsageError } from "../../errors.ts";
import { startDevDb } from "../../index.ts";
import { listOf, text, type ValueKind } from "../../options/value-kinds.ts";
import { optionTable } from "../../options.ts";
import { answers } from "../../trace/replay/probe.ts";
import type { PlayTarget } from "../../trace/replay/replay-connection.ts";
import type { Step } from "../../trace/replay/script.ts";
import { startServerProcess } from "../../trace/repro/server-process.ts";
import { preparePassword } from "../../wire/scram.ts";
import { type ServerUrl, serverUrlOf } from "./server-url.ts";
import type { FlagValues } from "./subcommand.ts";

const ours = ["isolated", "shared"] as const;

type Against = (typeof ours)[number] | "stock" | ServerUrl;

const serverUrl = serverUrlOf("--against");

const against: ValueKind<Against> = {
  takes: `isolated, shared, stock or ${serverUrl.takes}`,
  fromText: (given) => [...ours, "stock" as const].find((name) => name === given) ?? serverUrl.fromText(given),
  fromData: () => undefined,
};

/** The flags that say against what. */
export const againstFlags = {
  against: {
    flags: "--against <server>",
    kind: against,
    help: "isolated, shared (a new server of this program, with such sessions), stock (one of the stock pglite-socket) or the URL of a PostgreSQL",
  },
  migrations: {
    flags: "--migrations <dir>",
    kind: text("a directory"),
    help: "with isolated and shared: what the new server applies first",
  },
  seed: { flags: "--seed <file>", kind: text("a file"), help: "with isolated and shared: as of start" },
  extension: {
    flags: "-e, --extension <name,...>",
    kind: listOf(text("an extension"), "names of extensions"),
    help: "with isolated and shared: as of start",
  },
} as const;

/** A server to play to. */
interface Playground {
  readonly name: string;
  readonly target: PlayTarget;
  /** A new one, where it can be: nothing is left of what was played. */
  renew(): Promise<Playground>;
  stop(): Promise<void>;
}

/** Starts what the flags say, for what these steps need. Throws a `UsageError`. */
export async function openPlayground(flags: FlagValues, cwd: string, steps: readonly Step[]): Promise<Playground> {
  const given = flags.get(againstFlags.against);
  if (given === undefined) throw new UsageError("trace: say against what: --against isolated, shared, stock or a URL");
  const reset = steps.find(({ kind }) => kind === "reset");
  if (reset && given !== "isolated") {
    throw new UsageError(`trace: the server was reset (line ${reset.line}), which only --against isolated can do`);
  }
  if (typeof given === "object") return await openUrl(given);
  return given === "stock" ? await openStock() : await openOurs(given, flags, cwd, reset !== undefined);
}

const everybody = { user: "postgres", database: "postgres" };
const loginMs = 10_000;

async function openUrl({ address, user, database, password }: ServerUrl): Promise<Playground> {
  const parameters = { ...(user !== undefined && { user }), ...(database !== undefined && { database }) };
  const secret = password === undefined ? undefined : await preparePassword(password);
  const target = { address, parameters, password: secret };
  const name = "path" in address ? address.path : `${address.host}:${address.port}`;
  if (!(await answers(target, loginMs))) {
    throw Object.assign(
      new Error(`${name} lets nobody in: give its user, password and database in the URL; TLS is not spoken`),
      {
        exitCode: ExitCode.failure,
      },
    );
  }
  const playground: Playground = { name, target, renew: async () => playground, stop: async () => {} };
  return playground;
}

async function openStock(): Promise<Playground> {
  const server = await startServerProcess(
    process.argv[1]!,
    ["repro", "--serve", "stock"],
    new AbortController().signal,
  );
  return {
    name: "the stock library",
    target: { address: server.address, parameters: everybody },
    renew: async () => {
      await server.stop();
      return await openStock();
    },
    stop: () => server.stop(),
  };
}

async function openOurs(
  sessions: (typeof ours)[number],
  flags: FlagValues,
  cwd: string,
  resets: boolean,
): Promise<Playground> {
  const seed = flags.get(againstFlags.seed);
  const db = await startDevDb({
    ...{ port: 0, cwd, sessions, maxConnections: optionTable.maxConnections.default },
    migrations: flags.get(againstFlags.migrations) ?? "none",
    extensions: flags.get(againstFlags.extension) ?? [],
    ...(seed === undefined ? {} : { seed }),
    ...(resets ? { resets: "on" } : {}),
  });
  return {
    name: `${sessions} sessions`,
    target: { address: { host: db.host, port: db.port }, parameters: everybody, reset: () => db.reset() },
    renew: async () => {
      await db.close();
      return await openOurs(sessions, flags, cwd, resets);
    },
    stop: () => db.close(),
  };
}
