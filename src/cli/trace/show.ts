/**
 * `pglite-devdb trace show FILE`.
 *
 * Owns: its flags, and writing as fast as the reader takes it. Does not own: the rows (`trace/show/`).
 */
import { once } from "node:events";
import { closeSync, fchmodSync, fstatSync, openSync, writeFileSync } from "node:fs";
import { ExitCode, UsageError } from "../../errors.ts";
import { listOf, text, type ValueKind, wholeNumber } from "../../options/value-kinds.ts";
import { collectPage } from "../../trace/page/collect.ts";
import { pageOf } from "../../trace/page/write-page.ts";
import { isTrace } from "../../trace/read/trace-reader.ts";
import { tablePattern } from "../../trace/show/filter.ts";
import { type ShowOptions, showTrace } from "../../trace/show/show.ts";
import type { CommandContext } from "../command.ts";
import { type FlagValues, oneFile, openWarning, type TraceSubcommand } from "./subcommand.ts";

const seconds: ValueKind<number> = {
  takes: "a time in seconds",
  fromText: (value) => (/^\d+(\.\d+)?$/.test(value) ? Number(value) : undefined),
  fromData: () => undefined,
};

const pattern: ValueKind<RegExp> = {
  takes: "a regular expression",
  fromText: (value) => {
    try {
      return value === "" ? undefined : new RegExp(value, "i");
    } catch {
      return undefined;
    }
  },
  fromData: () => undefined,
};

const table: ValueKind<RegExp> = {
  takes: "the name of a table",
  fromText: (value) => (value === "" ? undefined : tablePattern(value)),
  fromData: () => undefined,
};

const flag = {
  connection: {
    flags: "-c, --connection <n,...>",
    kind: listOf(wholeNumber(1, 2 ** 31), "numbers of connections"),
    help: "only these connections",
  },
  message: {
    flags: "-m, --message <name,...>",
    kind: listOf(text("a message"), "names of messages"),
    help: "only messages of these names, for example Query,ErrorResponse",
  },
  since: { flags: "--since <s>", kind: seconds, help: "only from this second of the trace on" },
  until: { flags: "--until <s>", kind: seconds, help: "only up to this second of the trace" },
  sql: { flags: "--sql <regexp>", kind: pattern, help: "only pipelines with such a statement, and their answers" },
  table: {
    flags: "--table <name>",
    kind: table,
    help: "only pipelines with a statement that names it, and their answers",
  },
  decisions: { flags: "--decisions", help: "also whose turn it was; waits for locks are always shown" },
  html: {
    flags: "--html <file>",
    kind: text("a file, or - for stdout"),
    help: "write one page for a browser instead, with what the filters leave; - for stdout",
  },
  full: { flags: "--full", help: "whole rows; else they are cut, on a terminal at its width" },
} as const;

const cutWidth = 200;

/** The part `show`. */
export const showSubcommand: TraceSubcommand = {
  name: "show",
  usage: "FILE [options]",
  summary: "show it, a lane for each connection",
  flags: Object.values(flag),
  async run(operands, flags, { stdout, stderr, environment }) {
    const file = oneFile("show", operands);
    const trace = openWarning(file, stderr);
    const options = readShowOptions(flags, stdout, environment);
    const target = flags.get(flag.html);
    if (target === undefined) await writeAll(stdout, showTrace(trace, options));
    else {
      const { data, bytes } = collectPage(trace, file, options.filter, options.decisions);
      const page = pageOf(data, bytes);
      if (target === "-") await writeAll(stdout, [page]);
      else {
        writePage(target, page);
        const { connections, events } = data;
        const scope = `${events.time.length} events of ${connections.length} connections`;
        stdout.write(`${target}: ${scope}, ${Math.ceil(page.length / 1024)} KB\n`);
      }
    }
    return ExitCode.ok;
  },
};

/** Only its owner can read it, as the trace, also where there was a file that others could read. Throws a `UsageError` where it cannot be written. */
function writePage(file: string, page: string): void {
  if (isTrace(file)) throw new UsageError(`--html: ${file} is a trace; it is not overwritten`);
  try {
    const descriptor = openSync(file, "w", 0o600);
    try {
      if (fstatSync(descriptor).isFile()) fchmodSync(descriptor, 0o600);
      writeFileSync(descriptor, page);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw new UsageError(`--html: cannot write ${file}: ${(error as Error).message}`, { cause: error });
  }
}

function readShowOptions(
  flags: FlagValues,
  stdout: CommandContext["stdout"],
  environment: NodeJS.ProcessEnv,
): ShowOptions {
  const [connections, messages] = [flags.get(flag.connection), flags.get(flag.message)];
  const [since, until] = [flags.get(flag.since), flags.get(flag.until)];
  const statements = [flags.get(flag.sql), flags.get(flag.table)].filter((each) => each !== undefined);
  return {
    filter: {
      statements,
      ...(connections && { connections: new Set(connections) }),
      ...(messages && { messages: new Set(messages.map((name) => name.toLowerCase())) }),
      ...(since !== undefined && { since: since * 1e6 }),
      ...(until !== undefined && { until: until * 1e6 }),
    },
    decisions: flags.has(flag.decisions),
    color: stdout.isTTY === true && !environment.NO_COLOR,
    width: flags.has(flag.full) ? undefined : (stdout.columns ?? cutWidth),
  };
}

/** Stops when nobody reads any more. */
async function writeAll(stdout: NodeJS.WriteStream, rows: Iterable<string>): Promise<void> {
  let text = "";
  for (const row of rows) {
    text += row;
    if (text.length < 65_536) continue;
    if (stdout.destroyed) return;
    if (!stdout.write(text)) await Promise.race([once(stdout, "drain"), once(stdout, "close")]);
    text = "";
  }
  if (!stdout.destroyed) stdout.write(text);
}
