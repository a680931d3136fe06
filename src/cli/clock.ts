/**
 * `pglite-devdb clock`: sets, advances and shows the clock of a server that runs.
 *
 * Owns: its words. Does not own: how a server is found (`running-server.ts`), the clock, and what times and intervals there are, which the
 * server says (`../thread/server-functions.ts`).
 * Invariant: stdout gets the time and nothing else.
 */
import { ExitCode, UsageError } from "../errors.ts";
import { quoteLiteral } from "../migrate/index.ts";
import type { CliCommand } from "./command.ts";
import { inWords, queryServer, serverUrl, urlFlag, urlHelp } from "./running-server.ts";

/** The command `clock`. */
export const clockCommand: CliCommand = {
  name: "clock",
  usage: "[set TIME | advance INTERVAL | discrete on|off | reset | show]",
  summary: "set, advance or show a running server's clock",
  options: [],
  configure(command) {
    command.addOption(urlFlag);
    command.configureHelp({ formatHelp: () => helpText });
  },
  async run([word = "show", value, extra], _options, { environment, stdout }, flags) {
    const call: Call | undefined = Object.hasOwn(calls, word) ? calls[word as keyof typeof calls] : undefined;
    if (!call) throw new UsageError(`clock: what is ${JSON.stringify(word)}? pglite-devdb clock ${clockCommand.usage}`);
    const surplus = call.takes ? extra : value;
    if (surplus !== undefined) throw new UsageError(`clock: ${JSON.stringify(surplus)} is an argument too many`);
    if (call.takes && value === undefined)
      throw new UsageError(`clock ${word}: say which: pglite-devdb clock ${word} ${call.takes}`);
    const change = call.sql(quoteLiteral(value ?? ""));
    const { url } = serverUrl(flags.url, environment);
    const statements = [...(change ? [`select pglite_devdb.${change}`] : []), "select pglite_devdb.show_time()"];
    const [row] = await inWords(
      "clock",
      () => queryServer(url, "clock", statements),
      (code) => (code === "3F000" ? "; a clock needs a pglite-devdb with isolated sessions" : ""),
    );
    stdout.write(`${row?.[0]}\n`);
    return ExitCode.ok;
  },
};

interface Call {
  /** Its argument, as it stands in the usage line. */
  readonly takes?: string;
  readonly sql: (literal: string) => string | undefined;
}

const calls = {
  set: { takes: "TIME", sql: (time) => `set_time(${time})` },
  advance: { takes: "INTERVAL", sql: (span) => `advance_time(${span})` },
  discrete: { takes: "on|off", sql: (on) => `discrete_time(${on})` },
  reset: { sql: () => "reset_time()" },
  show: { sql: () => undefined },
} as const satisfies Readonly<Record<string, Call>>;

const helpText = `Usage: pglite-devdb clock [--url URL] [set TIME | advance INTERVAL | discrete on|off | reset | show]

Set, advance or show the clock of all sessions of a server: see docs/clock.md. Prints the resulting time.

  clock set TIME           a time in PostgreSQL's format: clock set "2030-01-01 00:00:00Z"
  clock advance INTERVAL   an interval in PostgreSQL's format: clock advance "30 days 2 hours"
  clock discrete on|off    on: the clock jumps to the end of the next wait when no statement runs
  clock reset              return to the real time, without jumps; back only while no other client is connected
  clock [show]
${urlHelp}`;
