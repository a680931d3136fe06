/**
 * `pglite-devdb explore FILE`: actors in every order, from a file.
 *
 * Owns: reading the file, the server and the server under test for the time of the exploration, what is printed. Does not own: what a file
 * says (`explore/script.ts`), exploring.
 * Invariant: exit code 0 only if nothing has failed and nothing is in doubt; nothing is left running.
 */
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { basename, extname, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { environmentWith } from "../dev-db/address.ts";
import { controlDevDb } from "../dev-db/control.ts";
import { startShellCommand } from "../dev-db/shell-command.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { explore } from "../explore/explore.ts";
import type { ExploreReport } from "../explore/report.ts";
import { readScript, type Script } from "../explore/script.ts";
import type { Stage } from "../explore/script-actors.ts";
import { failureOf, passed } from "../explore/verdict.ts";
import type { Log } from "../options.ts";
import { escapeForTerminal } from "../system/terminal-text.ts";
import { type CliCommand, type CommandContext, serverOptions } from "./command.ts";
import { logTo } from "./log.ts";
import { listenForSignals } from "./signals.ts";

/** For how long the server under test may not be there. */
const serverMs = 60_000;
const lookAgainMs = 50;

/** The command `explore`. */
export const exploreCommand: CliCommand = {
  name: "explore",
  usage: "[options] FILE",
  summary:
    "start a server, run the actors of FILE (.json, .js, .ts) in every order of their statements, and end the server",
  // The trace is that of the schedule that fails.
  options: serverOptions("other").filter((key) => key !== "trace" && key !== "traceLimitMb"),
  async run(operands, options, context) {
    const { cwd, stdout, stderr } = context;
    const [file, ...rest] = operands;
    if (file === undefined || rest.length > 0)
      throw new UsageError("explore: name the one file: pglite-devdb explore [options] FILE");
    const path = resolve(cwd, file);
    if (!existsSync(path)) throw new UsageError(`explore: there is no file ${file}`);
    const isData = extname(path) === ".json";
    // What is wrong in it is said before anything is started.
    const data = isData ? parse(file, path) : undefined;
    if (isData) readScript(file, data, { url: "", cwd, environment: {}, onLine: () => {}, closers: [] });
    const log = logTo(stderr, options.logLevel);
    const signal = listenForSignals(() => log("error", "ending before everything is closed"));
    const control = controlDevDb(options, { cwd, log, signal });
    const closers: (() => void)[] = [];
    let server: ReturnType<typeof startShellCommand> | undefined;
    try {
      const db = await control.start();
      const environment = environmentWith(context.environment, db.env);
      Object.assign(process.env, db.env);
      const stage: Stage = { url: db.url, cwd, environment, onLine: (line) => log("debug", line), closers };
      const script = readScript(file, isData ? data : await load(file, path), stage);
      if (script.server !== undefined) server = startShellCommand(script.server, stage);
      await reachable(script, server?.ended);
      const trace = script.options.trace ?? `${basename(path, extname(path))}.trace`;
      const work = explore({ ...script.options, db, trace: resolve(cwd, trace) });
      const aborted = new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
      aborted.catch(() => {});
      return say(await Promise.race([work, aborted, ended(server?.ended)]), script, trace, { stdout, log });
    } finally {
      for (const close of closers) close();
      await server?.stop();
      await control.stop();
    }
  },
};

function parse(file: string, path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new UsageError(`${file}: no JSON: ${(error as Error).message}`, { cause: error });
  }
}

async function load(file: string, path: string): Promise<unknown> {
  let module: { readonly default?: unknown };
  try {
    module = await import(pathToFileURL(path).href);
  } catch (error) {
    throw new UsageError(`${file} cannot be loaded: ${(error as Error).message}`, { cause: error });
  }
  if (module.default === undefined)
    throw new UsageError(`${file}: it exports no default: export default { actors: { … }, invariant: … }`);
  return module.default;
}

/** The server under test is over: there is nothing to go on with. */
function ended(server: Promise<void> | undefined): Promise<never> {
  if (!server) return new Promise(() => {});
  return server.then(
    () => Promise.reject(new UsageError("explore: the command of `server` has ended; it is to stay in the foreground")),
    (error: Error) => Promise.reject(new UsageError(`explore: the command of \`server\` ${error.message}`)),
  );
}

/** Resolves when whoever is asked by the actors can be reached. */
async function reachable({ addresses }: Script, server: Promise<void> | undefined): Promise<void> {
  const all = Promise.all(
    addresses.map(async ({ hostname, port, protocol, origin }) => {
      const deadline = performance.now() + (server ? serverMs : 0);
      const address = { host: hostname, port: Number(port || (protocol === "https:" ? 443 : 80)) };
      while (!(await accepts(address))) {
        if (performance.now() >= deadline) throw new UsageError(`explore: nobody listens at ${origin}`);
        await delay(lookAgainMs);
      }
    }),
  );
  const over = ended(server);
  over.catch(() => {});
  await Promise.race([all, over]);
}

function accepts(address: { host: string; port: number }): Promise<boolean> {
  return new Promise((settle) => {
    const socket = connect(address);
    socket.once("connect", () => settle(true)).once("error", () => settle(false));
    socket.once("connect", () => socket.destroy());
  });
}

function say(
  report: ExploreReport,
  { options }: Script,
  trace: string,
  { stdout, log }: { stdout: CommandContext["stdout"]; log: Log },
): number {
  const failure = failureOf(report, options);
  const outcomes = Object.entries(report.outcomes).map(([words, count]) => `  ${count} × ${words}`);
  const words = (failure ?? passed(report)).replaceAll(resolve(trace), trace);
  stdout.write(`${escapeForTerminal([words, "outcomes:", ...outcomes].join("\n"))}\n`);
  const untraced = report.failing[0]?.untraced;
  if (untraced !== undefined) log("info", `warning: ${untraced}`);
  return failure === undefined ? ExitCode.ok : ExitCode.failure;
}
