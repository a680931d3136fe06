/**
 * `pglite-devdb trace shrink FILE --against SERVER`.
 *
 * Owns: what it prints, and the file that it writes. Does not own: the shrinking (`trace/shrink/`).
 * Invariant: that file is whole whenever it is there, also if this was ended on the way.
 */

import { resolve } from "node:path";
import { ExitCode } from "../../errors.ts";
import { text } from "../../options/value-kinds.ts";
import { escapeForTerminal } from "../../system/terminal-text.ts";
import { checkTrace } from "../../trace/check/check.ts";
import type { Trace } from "../../trace/read/trace-reader.ts";
import { Recorder } from "../../trace/record/recorder.ts";
import { TraceOutput } from "../../trace/record/trace-output.ts";
import { readScript } from "../../trace/replay/script.ts";
import { type Pieces, sizeOf } from "../../trace/shrink/pieces.ts";
import { shrinkScript } from "../../trace/shrink/shrink.ts";
import { quickly, slowly, Trials } from "../../trace/shrink/verdict.ts";
import type { CommandContext } from "../command.ts";
import { logTo } from "../log.ts";
import { listenForSignals } from "../signals.ts";
import { againstFlags, openPlayground } from "./against.ts";
import { type FlagValues, oneFile, openWarning, type TraceSubcommand } from "./subcommand.ts";

const outputFlag = {
  flags: "-o, --output <file>",
  kind: text("a file"),
  help: "where the smaller trace goes. [default FILE with .min]",
} as const;
/** Not each of them depends on what was said alone: some come of when it was. */
const mostFindings = 5;
const firstTries = 5;
const lastTries = 20;

/** The part `shrink`. */
export const shrinkSubcommand: TraceSubcommand = {
  name: "shrink",
  usage: "FILE --against SERVER",
  summary: "leave out all without which `trace check` finds the same kind of thing, and write what is left as a trace",
  flags: [...Object.values(againstFlags), outputFlag],
  run: (operands, flags, context) =>
    shrinkTrace(
      operands,
      flags,
      context,
      listenForSignals(() => {}),
    ),
};

/** As the subcommand, until the signal is aborted: then it rejects with its reason, and nothing is written any more. */
export async function shrinkTrace(
  operands: readonly string[],
  flags: FlagValues,
  { stdout, stderr, cwd }: CommandContext,
  signal: AbortSignal,
): Promise<number> {
  const file = oneFile("shrink", operands);
  const trace = openWarning(file, stderr);
  const begins = upToFindings(trace);
  if (begins.length === 0) {
    stdout.write("trace check finds nothing in this trace, so there is nothing to be kept while it is made smaller\n");
    return ExitCode.failure;
  }
  const place = resolve(cwd, flags.get(outputFlag) ?? `${file}.min`);
  const output = new TraceOutput(place, "trace shrink", file);
  const log = logTo(stderr, "info");
  const aborted = rejectionOf(signal);
  const shrink = async (): Promise<number> => {
    const playground = await openPlayground(flags, cwd, begins.flat());
    const trials = new Trials(playground);
    try {
      const failing = await firstFailing(trials, begins);
      if (!failing) {
        stdout.write(`played to ${playground.name} ${firstTries} times, it does not fail\n`);
        return ExitCode.failure;
      }
      const { begin, kind } = failing;
      log("info", `${words(begin)} up to a finding: ${kind}`);
      const smallest = await shrinkScript(
        begin,
        kind,
        async (steps) => (await trials.run(steps, quickly))?.kind,
        (smaller) => log("info", words(smaller)),
      );
      const failed = await writeSmallest(output, trials, smallest, kind);
      stdout.write(`${words(smallest)}: ${escapeForTerminal(failed.sentence)}\n`);
      stdout.write(
        `fails ${failed.times} of ${lastTries} times against ${playground.name}; ${trials.attempts} attempts, ${trials.servers} servers\n`,
      );
      if (failed.times === 0) return ExitCode.failure;
      output.keep();
      stdout.write(`${place}\n`);
      return ExitCode.ok;
    } finally {
      await trials.server.stop();
    }
  };
  try {
    // What is under way then goes on until the process ends, and its server notices that.
    return await Promise.race([shrink(), aborted]);
  } finally {
    output.end();
  }
}

async function rejectionOf(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await new Promise((end) => signal.addEventListener("abort", end, { once: true }));
  throw signal.reason;
}

/** What was done until each of the first findings. */
function upToFindings(trace: Trace): Pieces[] {
  const { steps } = readScript(trace);
  const findings = [...checkTrace(trace)].slice(0, mostFindings);
  return findings.map((finding) => steps.filter(({ line }) => line <= finding.line));
}

/** The first that fails when it is played, and how. */
async function firstFailing(
  trials: Trials,
  begins: readonly Pieces[],
): Promise<{ begin: Pieces; kind: string } | undefined> {
  for (const begin of begins) {
    for (let attempt = 0; attempt < firstTries; attempt++) {
      const finding = await trials.run(begin, slowly);
      if (finding) return { begin, kind: finding.kind };
    }
  }
  return undefined;
}

/** Plays it again and again; the first time that it fails is what is written. */
async function writeSmallest(
  output: TraceOutput,
  trials: Trials,
  steps: Pieces,
  kind: string,
): Promise<{ times: number; sentence: string }> {
  let [times, sentence] = [0, `${kind}, but not any more`];
  for (let attempt = 0; attempt < lastTries; attempt++) {
    const recorder = times === 0 ? recorderInto(output.begin()) : undefined;
    const finding = await trials.run(steps, slowly, recorder?.tap);
    await recorder?.close();
    if (finding?.kind !== kind) continue;
    times++;
    sentence = `${finding.kind}: ${finding.sentence}`;
  }
  return { times, sentence };
}

function recorderInto(file: string): Recorder {
  const header = { began: Date.now(), by: "proxy" as const, versions: { node: process.versions.node }, settings: {} };
  return new Recorder({ file, limitBytes: 2 ** 30, header }, () => {});
}

function words(steps: Pieces): string {
  const { connections, writes, frames, bytes } = sizeOf(steps);
  const counts = { connection: connections, write: writes, frame: frames, byte: bytes };
  return Object.entries(counts)
    .map(([noun, count]) => `${count} ${noun}${count === 1 ? "" : "s"}`)
    .join(", ");
}
