/**
 * `pglite-devdb trace replay FILE --against SERVER`.
 *
 * Owns: what it prints. Does not own: the playing and the comparison (`trace/replay/`).
 */

import { ExitCode } from "../../errors.ts";
import { escapeForTerminal } from "../../system/terminal-text.ts";
import type { TracedMessage } from "../../trace/read/traced-messages.ts";
import { compareAnswers } from "../../trace/replay/compare.ts";
import { PlayedTrace } from "../../trace/replay/played-trace.ts";
import { play } from "../../trace/replay/player.ts";
import { readScript } from "../../trace/replay/script.ts";
import { messageWords } from "../../wire/message-words.ts";
import { againstFlags, openPlayground } from "./against.ts";
import { oneFile, openWarning, type TraceSubcommand } from "./subcommand.ts";

const pace = { until: "counted", gapMs: 3, patienceMs: 2000 } as const;
const longestWords = 300;

/** The part `replay`. */
export const replaySubcommand: TraceSubcommand = {
  name: "replay",
  usage: "FILE --against SERVER",
  summary:
    "send it again, in its order and cut as it was, and compare the answers; exit 1 at a difference, which is shown",
  flags: Object.values(againstFlags),
  async run(operands, flags, { stdout, stderr, cwd }) {
    const trace = openWarning(oneFile("replay", operands), stderr);
    const script = readScript(trace);
    const server = await openPlayground(flags, cwd, script.steps);
    try {
      const played = new PlayedTrace();
      await play(script, server.target, pace, played.tap);
      const difference = compareAnswers(trace, played);
      if (!difference) {
        stdout.write(`${script.steps.length} steps: the answers of ${server.name} are those that were recorded\n`);
        return ExitCode.ok;
      }
      const { recorded, played: now, said, connection } = difference;
      const [where, after] = [recorded && `${recorded.file}:${recorded.line}, `, said && ` after ${shown(said)}`];
      stdout.write(`first difference: ${where ?? ""}connection ${connection}${after ?? ""}\n`);
      stdout.write(`  recorded  ${shown(recorded)}\n  replayed  ${shown(now)}\n`);
      return ExitCode.failure;
    } finally {
      await server.stop();
    }
  },
};

function shown(message: TracedMessage | undefined): string {
  return message ? escapeForTerminal(`${message.name} ${messageWords(message, longestWords)}`) : "nothing";
}
