/**
 * `pglite-devdb repro`: the interleaving corruption on the stock library, and its absence on the patched one.
 *
 * Owns: the command's own flags, and which process serves which library. Does not own: the storm and what it proves
 * (`trace/repro.ts`).
 * Invariant: stdout gets the report and nothing else; when this process ends, no server process is left.
 */
import { randomInt } from "node:crypto";
import { type Command, Option } from "commander";
import { ExitCode, UsageError } from "../errors.ts";
import { oneOf, text, type ValueKind, wholeNumber } from "../options/value-kinds.ts";
import { reproJson, reproText } from "../trace/repro/report.ts";
import { startServerProcess } from "../trace/repro/server-process.ts";
import { concludeRepro, type ReproTarget, runRepro } from "../trace/repro.ts";
import { splits } from "../trace/storm/split.ts";
import type { CliCommand } from "./command.ts";
import { ReproProgress } from "./repro-progress.ts";
import { serveForRepro } from "./repro-server.ts";
import { howToReplay, RecordedStorm } from "./repro-trace.ts";
import { listenForSignals } from "./signals.ts";

interface ReproFlag<T> {
  readonly flags: string;
  readonly kind: ValueKind<T>;
  /** What it is when it is not given. */
  readonly fallback: T | undefined;
  readonly help: string;
}

const flagTable = {
  clients: {
    flags: "--clients <n>",
    kind: wholeNumber(1, 64),
    fallback: 6,
    help: "clients at the same time. [default 6]",
  },
  seconds: {
    flags: "--seconds <s>",
    kind: wholeNumber(1, 3600),
    fallback: 10,
    help: "how long each of the two servers is tested. [default 10]",
  },
  seed: {
    flags: "--seed <n>",
    kind: wholeNumber(0, 2 ** 32 - 1),
    fallback: undefined,
    help: "the same seed makes the same queries. [default a random one, which is printed]",
  },
  split: {
    flags: "--split <how>",
    kind: oneOf(...splits, "all"),
    fallback: "all",
    help: "how a query is sent. whole: in one write; flush: with pauses; random: cut anywhere; bytes: one at a time. [default all]",
  },
  trace: {
    flags: "--trace <file>",
    kind: text("a file"),
    fallback: undefined,
    help: "write the first wrong answer of the stock library, with as few messages as it takes, as a trace; takes some minutes more",
  },
  output: {
    flags: "-o, --output <form>",
    kind: oneOf("text", "json"),
    fallback: "text",
    help: "what stdout gets: text or json (one line). [default text]",
  },
} as const satisfies Record<string, ReproFlag<unknown>>;

/** The command `repro`. */
export const reproCommand: CliCommand = {
  name: "repro",
  usage: "[options]",
  summary: "show how clients of the stock pglite-socket get wrong answers, and how this server avoids them",
  options: [],
  configure(command: Command) {
    for (const { flags } of Object.values(flagTable)) command.addOption(new Option(flags));
    command.addOption(new Option("--serve <target>").choices(["stock", "patched"]));
    command.configureHelp({ formatHelp: () => helpText });
  },
  async run(operands, _options, context, flags) {
    const { stdout, stderr } = context;
    if (operands[0] !== undefined) {
      throw new UsageError(`repro: takes no argument, and ${JSON.stringify(operands[0])} is one`);
    }
    if (flags.serve !== undefined) return serveForRepro(flags.serve as ReproTarget);
    const clients = read(flags, "clients");
    const seconds = read(flags, "seconds");
    const seed = read(flags, "seed") ?? randomInt(2 ** 32);
    const split = read(flags, "split");
    const form = read(flags, "output");
    const trace = read(flags, "trace");

    const signal = listenForSignals(() => {});
    const progress = new ReproProgress(stderr, seconds);
    const serve = (target: ReproTarget) => (until: AbortSignal) =>
      startServerProcess(process.argv[1]!, ["repro", "--serve", target], until);
    const recorded = trace === undefined ? undefined : new RecordedStorm(trace, context);
    const serveRecorded = async (until: AbortSignal) => {
      const server = await serve("stock")(until);
      return recorded?.before(server) ?? server;
    };
    try {
      const report = await runRepro(
        { stock: serveRecorded, patched: serve("patched") },
        {
          clients,
          seconds,
          seed,
          signal,
          splits: split === "all" ? splits : [split],
          onProgress: (target, tally, elapsed) => progress.update(target, tally, elapsed),
        },
      );
      progress.end();
      stdout.write(form === "json" ? reproJson(report) : reproText(report));
      if (!concludeRepro(report).ok) return ExitCode.failure;
      if (trace !== undefined) {
        if (!(await recorded!.shrink(signal))) return ExitCode.failure;
        if (form === "text") stdout.write(howToReplay(trace));
      }
      return ExitCode.ok;
    } finally {
      progress.end();
      recorded?.end();
    }
  },
};

type FlagTable = typeof flagTable;
type ValueOf<F> = F extends { kind: ValueKind<infer T>; fallback: infer D }
  ? T | (undefined extends D ? undefined : never)
  : never;

function read<K extends keyof FlagTable>(flags: Readonly<Record<string, unknown>>, key: K): ValueOf<FlagTable[K]> {
  const { kind, fallback, flags: spelling }: ReproFlag<unknown> = flagTable[key];
  const given = flags[key];
  if (given === undefined) return fallback as ValueOf<FlagTable[K]>;
  const value = kind.fromText(String(given));
  if (value !== undefined) return value as ValueOf<FlagTable[K]>;
  const name = /--[a-z]+/.exec(spelling)?.[0];
  throw new UsageError(`${name}: ${JSON.stringify(given)} is not ${kind.takes}`);
}

const helpText = `Usage: pglite-devdb repro [options]

Sends the same queries from several clients at once to a server of the stock @electric-sql/pglite-socket, then to this
one, each in a process of its own with its data in memory, and counts the answers that are wrong.

${Object.values(flagTable)
  .map(({ flags, help }) => `  ${flags.startsWith("--") ? "    " : ""}${flags}\n        ${help}`)
  .join("\n")}
  -h, --help

Exit codes
  ${ExitCode.ok} the stock library gives wrong answers and this one does not    ${ExitCode.failure} otherwise, with a sentence that says why
  ${ExitCode.usage} usage    128+n signal n
`;
