/**
 * `pglite-devdb doctor [URL]`: what stands in the way here, or what differs between a server and PGlite.
 *
 * Owns: what is examined for which arguments, and the lines. Does not own: the findings (`dev-db/doctor/`).
 * Invariant: nothing is changed, neither here nor on a server; a finding is one line.
 */
import { controlDevDb } from "../dev-db/control.ts";
import { readFacts, type ServerFacts } from "../dev-db/doctor/facts.ts";
import type { Finding } from "../dev-db/doctor/finding.ts";
import { examineMachine, examineMigrations } from "../dev-db/doctor/machine.ts";
import { neededExtensions } from "../dev-db/doctor/needs.ts";
import { compareServers } from "../dev-db/doctor/server.ts";
import { ServerClient } from "../dev-db/server-client.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { findMigrations } from "../migrate/index.ts";
import type { ResolvedOptions } from "../options.ts";
import { escapeForTerminal } from "../system/terminal-text.ts";
import { DatabaseError } from "../wire/query-results.ts";
import { type CliCommand, serverOptions } from "./command.ts";
import { logTo } from "./log.ts";
import { namedServer } from "./running-server.ts";
import { listenForSignals } from "./signals.ts";

const words: Readonly<Record<Finding["weight"], string>> = { ok: "ok", differs: "differs", stop: "STOP" };

/** The command `doctor`. */
export const doctorCommand: CliCommand = {
  name: "doctor",
  usage: "[options] [URL]",
  summary: "check this machine, or compare the server at URL with PGlite and check it for what the migrations need",
  options: serverOptions("other"),
  async run([operand, more], options, { cwd, stdout, stderr, environment }) {
    if (more !== undefined) throw new UsageError(`doctor: ${JSON.stringify(more)} is an argument too many`);
    const url = namedServer("doctor", operand, options, environment);
    const signal = listenForSignals(() => {});
    const sources = await findMigrations(options.migrations, cwd);
    const needs = (await Promise.all(sources.map((source) => neededExtensions(source, cwd)))).flat();
    const findings =
      url === undefined
        ? [...(await examineMachine(options, cwd)), ...examineMigrations(sources, needs, options, cwd)]
        : await examineServer(url, async (there) => {
            const here = await factsOfPglite(options, { cwd, log: logTo(stderr, "error"), signal });
            return compareServers(here, there, needs, options.maxConnections);
          });
    const width = Math.max(...Object.values(words).map((word) => word.length));
    for (const { weight, text } of findings)
      stdout.write(`${words[weight].padEnd(width)}  ${escapeForTerminal(text).replaceAll("\n", " ")}\n`);
    return findings.some(({ weight }) => weight === "stop") ? ExitCode.failure : ExitCode.ok;
  },
};

/** How long a server may take for an answer. */
const silenceMs = 30_000;

async function examineServer(url: string, compare: (there: ServerFacts) => Promise<Finding[]>): Promise<Finding[]> {
  let there: ServerFacts;
  try {
    const client = await ServerClient.connect(url, { silenceMs });
    there = await readFacts(client).finally(() => client.close());
  } catch (error) {
    const { message, code } = error as DatabaseError;
    if (error instanceof DatabaseError && code === "3D000") {
      return [
        {
          weight: "stop",
          text: `${message}: a start with --engine would make it; name one that is there to have it examined`,
        },
      ];
    }
    const advice =
      error instanceof UsageError
        ? "see to host and port, and that the server runs"
        : "see to user, password and ?sslmode=require in the URL";
    return [{ weight: "stop", text: `${message}: ${advice}` }];
  }
  return compare(there);
}

/** A PGlite with the options that a start would have, without the project's data. */
async function factsOfPglite(
  options: ResolvedOptions,
  context: Parameters<typeof controlDevDb>[1],
): Promise<ServerFacts> {
  const bare = { engine: "pglite", db: "memory://", port: 0, migrations: ["none"], setup: undefined, seed: [] };
  const control = controlDevDb(
    {
      ...options,
      ...bare,
      password: undefined,
      host: "127.0.0.1",
      tls: "off",
      tlsCert: undefined,
      tlsKey: undefined,
      socketDir: undefined,
      trace: undefined,
    },
    context,
  );
  const { url } = await control.start();
  try {
    const client = await ServerClient.connect(url);
    return await readFacts(client).finally(() => client.close());
  } finally {
    await control.stop();
  }
}
