/**
 * `pglite-devdb mcp`: a database for a coding agent, over the Model Context Protocol.
 *
 * Owns: which server that is, its flags, and the end. Does not own: the protocol and the tools (`mcp/`), the branch (`../dev-db/agent/`).
 * Invariant: the SDK is loaded by this command only; when this process ends in order its branch is gone, and else at the next start of one like it.
 */
import { createRequire } from "node:module";
import { Option } from "commander";
import { AgentBranch } from "../dev-db/agent/agent-branch.ts";
import { controlDevDb } from "../dev-db/control.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { readServerUrl } from "../options/server-url.ts";
import type { OptionKey, ResolvedOptions } from "../options.ts";
import { optionTable } from "../options.ts";
import { type CliCommand, type CommandContext, serverOptions } from "./command.ts";
import { logTo } from "./log.ts";
import { keepStdout } from "./mcp/stdout.ts";
import { toolsOf } from "./mcp/tools.ts";
import { serverUrl, urlFlag } from "./running-server.ts";
import { listenForSignals, type SignalReceived } from "./signals.ts";

const defaultTimeoutMs = 30_000;
const longestTimeoutMs = 3_600_000;
const ownOptions = serverOptions("other");

/** The command `mcp`. */
export const mcpCommand: CliCommand = {
  name: "mcp",
  usage: "[--url URL | options of a server] [--write]",
  summary:
    "give a coding agent its own branch, and tools to query it, over the Model Context Protocol on stdin and stdout",
  options: ownOptions,
  configure(command) {
    command.addOption(urlFlag);
    for (const flag of ["--write", "--keep", "--timeout <ms>"]) command.addOption(new Option(flag));
    command.configureHelp({ formatHelp: () => helpText });
  },
  async run([operand], options, context, flags) {
    if (operand !== undefined) throw new UsageError(`mcp: ${JSON.stringify(operand)} is an argument too many`);
    const statementTimeoutMs = timeoutOf(flags.timeout);
    const mayWrite = flags.write === true;
    const signal = listenForSignals(() => {});
    const log = logTo(context.stderr, options.logLevel);
    const server = chooseServer(options, context, flags);
    const branch = new AgentBranch({ source: server.url, mayWrite, statementTimeoutMs, keeps: flags.keep === true });
    const { serveTools } = await import("./mcp/serve.ts");
    const output = keepStdout();
    let exitCode: number = ExitCode.ok;
    try {
      const { version } = createRequire(import.meta.url)("pglite-devdb/package.json");
      const told = { version, instructions: instructions(mayWrite), tools: toolsOf(branch, mayWrite) };
      await serveTools(told, output.stream, signal);
    } finally {
      // The server has to be there for the end of the branch: nothing but this stops it.
      const ending = branch.end();
      server.giveUpStart();
      const kept = await ending.catch((error: Error) => {
        log("error", `the branch could not be ended: ${error.message}`);
        exitCode = ExitCode.failure;
      });
      if (kept) log("info", `kept the branch: ${readServerUrl(kept, "the branch").database}`);
      await server.stop().finally(() => output.giveBack());
    }
    return signal.aborted ? (signal.reason as SignalReceived).exitCode : exitCode;
  },
};

interface ChosenServer {
  /** Starts it, if it is one of our own, at the first call that succeeds. */
  readonly url: () => Promise<string>;
  /** Ends a start that is not over; a server that runs, runs on. */
  readonly giveUpStart: () => void;
  readonly stop: () => Promise<void>;
}

/** The one that is named; one of our own where none is, or where it is said what it should be like. */
function chooseServer(
  options: ResolvedOptions,
  { cwd, environment, stderr }: CommandContext,
  flags: Readonly<Record<string, unknown>>,
): ChosenServer {
  const given = givenOption(flags);
  if (flags.url !== undefined && given !== undefined)
    throw new UsageError(`mcp: ${given} is for a server of its own; --url names one that runs`);
  if (flags.url !== undefined || (given === undefined && environment.DATABASE_URL !== undefined)) {
    const { url } = serverUrl(flags.url, environment);
    return { url: async () => url, giveUpStart: () => {}, stop: async () => {} };
  }
  // Another one may have the port that is configured: that of the same project.
  const own = flags.port === undefined ? { ...options, port: 0 } : options;
  const control = controlDevDb(own, { cwd, log: logTo(stderr, options.logLevel) });
  let isStarting = false;
  return {
    async url() {
      isStarting = true;
      try {
        return (await control.start()).url;
      } finally {
        isStarting = false;
      }
    },
    giveUpStart() {
      // Its error is that of `stop`, too.
      if (isStarting) control.stop().catch(() => {});
    },
    stop: () => control.stop(),
  };
}

/** The first flag that is about a server. */
function givenOption(flags: Readonly<Record<string, unknown>>): string | undefined {
  const about = ownOptions.filter((key): key is OptionKey => key !== "logLevel");
  return about
    .map((key) => optionTable[key].flags)
    .find((text) => {
      const option = new Option(text);
      return flags[option.attributeName()] !== undefined && !(option.negate && flags[option.attributeName()] === true);
    });
}

function timeoutOf(text: unknown): number {
  if (text === undefined) return defaultTimeoutMs;
  const value = /^\d+$/.test(String(text)) ? Number(text) : 0;
  if (value < 1 || value > longestTimeoutMs)
    throw new UsageError(
      `mcp: --timeout ${JSON.stringify(text)} is not a whole number from 1 to ${longestTimeoutMs} (milliseconds)`,
    );
  return value;
}

function instructions(mayWrite: boolean): string {
  const what =
    "A PostgreSQL database for development. You work on a branch: a copy of your own, made at your first request.";
  return mayWrite
    ? `${what} Change what you like: the database itself stays as it is. diff says what you have changed, reset begins anew.`
    : `${what} You can read it.`;
}

const helpText = `Usage: pglite-devdb mcp [--url URL | options of a server] [--write] [--keep] [--timeout MS]

A Model Context Protocol server on stdin and stdout, for coding agents: see docs/agents.md. Its session has a branch of the database, which goes with
it. Tools: query, schema, explain, diff, reset.

  --url URL       the database on a server that runs, as a superuser [env DATABASE_URL]; without one, or with options of a
                  server (--db, --migrations, --engine …: pglite-devdb start --help), it starts a server of its own
  --write         the agent may change its branch; otherwise its transactions only read
  --keep          the branch stays when the session ends
  --timeout MS    how long a statement may take [default ${defaultTimeoutMs}]
`;
