/**
 * `pglite-devdb trace check FILE`.
 *
 * Owns: the lines that it prints. Does not own: what is wrong (`trace/check/`, `trace/anomalies/`).
 */

import { ExitCode } from "../../errors.ts";
import { escapeForTerminal } from "../../system/terminal-text.ts";
import { findAnomalies } from "../../trace/anomalies/anomalies.ts";
import { checkTrace } from "../../trace/check/check.ts";
import { oneFile, openWarning, type TraceSubcommand } from "./subcommand.ts";

/** The part `check`. */
export const checkSubcommand: TraceSubcommand = {
  name: "check",
  usage: "FILE",
  summary:
    "look for answers of other clients, torn pipelines, ReadyForQuery out of count, leaked state, lost updates and write skew; exit 1 if there is any",
  flags: [],
  async run(operands, _flags, { stdout, stderr }) {
    const trace = openWarning(oneFile("check", operands), stderr);
    const checked = { messages: 0, connections: 0 };
    let findings = 0;
    for (const { file, line, time, connection, kind, sentence } of checkTrace(trace, checked)) {
      findings++;
      stdout.write(
        `${file}:${line}  ${(time / 1e6).toFixed(6)}  ${kind}: connection ${connection} ${escapeForTerminal(sentence)}\n`,
      );
    }
    for (const { file, line, time, connection, kind, sentence } of findAnomalies(trace)) {
      findings++;
      stdout.write(
        `${file}:${line}  ${(time / 1e6).toFixed(6)}  ${kind}: connection ${connection} ${escapeForTerminal(sentence)}\n`,
      );
    }
    const scope = `${checked.messages} messages of ${checked.connections} connections`;
    stdout.write(
      findings === 0
        ? `nothing is wrong in ${scope}\n`
        : `${findings} ${findings === 1 ? "finding" : "findings"} in ${scope}\n`,
    );
    return findings === 0 ? ExitCode.ok : ExitCode.failure;
  },
};
