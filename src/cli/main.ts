#!/usr/bin/env node
/**
 * The entry of the command line: argv in, exit code out.
 *
 * Owns: the list of commands, the reading of argv, and how an error is shown. Does not own: what a command does.
 * Invariant: a usage error starts nothing; every end of the process has one of the documented exit codes.
 */
import { createRequire } from "node:module";
import { debuglog } from "node:util";
import { Command, CommanderError, type Option } from "commander";
import { ExitCode, UsageError } from "../errors.ts";
import { withoutPassword } from "../options/server-url.ts";
import { escapeForTerminal } from "../system/terminal-text.ts";
import { DatabaseError } from "../wire/query-results.ts";
import { branchCommand } from "./branch.ts";
import { clockCommand } from "./clock.ts";
import { type CliCommand, type CommandContext, declareOptions, readOptions } from "./command.ts";
import { doctorCommand } from "./doctor.ts";
import { dumpCommand, restoreCommand } from "./dump.ts";
import { exploreCommand } from "./explore.ts";
import { commandHelp, programHelp } from "./help.ts";
import { mcpCommand } from "./mcp.ts";
import { reproCommand } from "./repro.ts";
import { resetCommand } from "./reset.ts";
import { runCommand } from "./run.ts";
import { SignalReceived } from "./signals.ts";
import { snapshotCommand } from "./snapshot.ts";
import { startCommand } from "./start.ts";
import { traceCommand } from "./trace.ts";
import { wipeCommand } from "./wipe.ts";

/** Every command, in the order of `--help`; the first one is the default. A new command is one file and one entry. */
const commands: readonly CliCommand[] = [
  startCommand,
  runCommand,
  branchCommand,
  mcpCommand,
  clockCommand,
  snapshotCommand,
  dumpCommand,
  restoreCommand,
  resetCommand,
  wipeCommand,
  doctorCommand,
  traceCommand,
  exploreCommand,
  reproCommand,
];

const context: CommandContext = {
  cwd: process.cwd(),
  environment: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
};

async function main(argv: readonly string[]): Promise<number> {
  let exitCode: number = ExitCode.ok;
  const program = new Command("pglite-devdb")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .enablePositionalOptions()
    .configureHelp({ formatHelp: () => programHelp(commands) });
  for (const command of commands) {
    const isDefault = command === commands[0];
    const parser = program.command(command.name, { isDefault });
    parser.argument("[operands...]").configureHelp({ formatHelp: () => commandHelp(command) });
    declareOptions(parser, command.options);
    command.configure?.(parser);
    for (const option of parser.options) takeOnce(option);
    parser.action(async (operands: string[]) => {
      exitCode = await command.run(operands, readOptions(parser, command.options, context), context, parser.opts());
    });
  }
  for (const parser of [program, ...program.commands]) {
    parser.exitOverride().configureOutput({ writeErr: () => {} });
  }
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return ExitCode.ok;
    const sentence = error.message.replace(/^error: /, "").replaceAll("\n", " ");
    throw new UsageError(`${sentence}; pglite-devdb --help shows what there is`);
  }
  return exitCode;
}

/** An option that is not repeatable and is given twice is an error, because it is unclear which value is meant. */
function takeOnce(option: Option): void {
  if (option.parseArg || !(option.required || option.optional)) return;
  const shown = (value: string) => JSON.stringify(withoutPassword(value));
  option.argParser((value: string, before: string | undefined) => {
    if (before === undefined) return value;
    const values = option.long === "--password" ? "" : `: ${shown(before)} and ${shown(value)}`;
    throw new UsageError(`${option.long} is given twice${values}`);
  });
}

/** The package refers to itself by name, so that this holds in src/ and in dist/. */
function packageVersion(): string {
  return createRequire(import.meta.url)("pglite-devdb/package.json").version;
}

/** The sentence for a person and the exit code of an error. An error that is not one of ours keeps its stack. */
function report(error: unknown): number {
  if (error instanceof SignalReceived) return error.exitCode;
  const exitCode = (error as { exitCode?: unknown } | undefined)?.exitCode;
  const known = typeof exitCode === "number";
  const text = error instanceof Error ? (known ? error.message : (error.stack ?? error.message)) : String(error);
  process.stderr.write(`pglite-devdb: ${escapeForTerminal(text)}\n`);
  return known ? exitCode : ExitCode.failure;
}

/** A reader that went away (`| head`) ends the output, not the server. What cannot be written for another reason ends the process. */
function watchOutput(name: string, stream: NodeJS.WriteStream): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") process.exit(report(new OutputError(`${name} cannot be written: ${error.message}`)));
  });
}

class OutputError extends Error {
  readonly exitCode = ExitCode.failure;
}

/**
 * A client that a seed or a module has left open emits `error` when its connection ends. Without a listener that would end this
 * process. Other uncaught errors still end it.
 */
function watchLeftClients(): void {
  const debug = debuglog("pglite-devdb");
  process.on("uncaughtException", (error) => {
    if (isConnectionEnd(error)) return debug("a client that was left open: %s", error.message);
    process.exit(report(error));
  });
}

/** `admin_shutdown` and the other ends of a connection that PostgreSQL announces (class 57), or the end of a socket. */
function isConnectionEnd(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof DatabaseError) return false;
  const { code } = error as { readonly code?: unknown };
  if (typeof code === "string" && /^(57P0[1-5]|ECONNRESET|EPIPE|CONNECTION_(CLOSED|ENDED|DESTROYED))$/.test(code))
    return true;
  return /^Connection terminated/.test(error.message);
}

watchLeftClients();
watchOutput("the output", process.stdout);
watchOutput("the standard error", process.stderr);
const exitCode = await main(process.argv).catch(report);
// What a pipe has not taken yet would be lost on some systems if the process just exited.
process.stdout.write("", () => process.stderr.write("", () => process.exit(exitCode)));
