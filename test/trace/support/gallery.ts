/**
 * The gallery: what is known to go wrong with clients of the stock library, each as a small trace.
 *
 * Owns: which traces there are, and what is wrong when one is played. Does not own: servers.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { checkTrace } from "../../../src/trace/check/check.ts";
import { openTrace } from "../../../src/trace/read/trace-reader.ts";
import { compareAnswers } from "../../../src/trace/replay/compare.ts";
import { PlayedTrace } from "../../../src/trace/replay/played-trace.ts";
import { type Pace, play } from "../../../src/trace/replay/player.ts";
import { readScript } from "../../../src/trace/replay/script.ts";
import { slowly } from "../../../src/trace/shrink/verdict.ts";

const directory = join(import.meta.dirname, "..", "gallery");

/** What comes is wrong, by `trace check`; these were recorded before the stock library. */
export const wrongAnswers: Readonly<Record<string, string>> = {
  "columns-of-another-client": "foreign answer",
  "error-in-anothers-pipeline": "torn pipeline",
  "leaked-search-path": "leaked state",
  "notify-to-the-wrong-client": "foreign answer",
  "parameters-of-another-client": "foreign answer",
  "rows-of-another-client": "foreign answer",
  "same-named-statements": "leaked state",
  "statement-closed-by-another-client": "foreign answer",
  "statement-lost-to-a-query": "foreign answer",
};

/** Nothing comes, where something is recorded; these were recorded before a server of ours. */
export const noAnswers = ["no-answer-to-gssenc", "waits-for-an-idle-transaction"] as const;

/** As `noAnswers`, and from then on that server answers nobody. */
export const lastAnswer = "copy-stops-everybody";

/** All that there are. */
export const files: readonly string[] = readdirSync(directory).map((file) => file.replace(".trace", ""));

/** Where one is. */
export function fileOf(name: string): string {
  return join(directory, `${name}.trace`);
}

async function playedTo(port: number, name: string, pace: Pace): Promise<PlayedTrace> {
  const script = readScript(openTrace(fileOf(name)));
  const played = new PlayedTrace();
  const target = { address: { host: "127.0.0.1", port }, parameters: {} };
  await play(pace.until === "quiet" ? { ...script, came: new Map() } : script, target, pace, played.tap);
  return played;
}

/** The kind of the first wrong answer when it is played to a server; undefined: there is none. */
export async function wrongAnswer(port: number, name: string): Promise<string | undefined> {
  return [...checkTrace(await playedTo(port, name, slowly))][0]?.kind;
}

/** Whether all that is recorded comes, within `patienceMs` each: `nothing` and `something else` say what is there instead. */
export async function missingAnswer(
  port: number,
  name: string,
  patienceMs: number,
): Promise<"nothing" | "something else" | undefined> {
  const pace: Pace = { until: "counted", gapMs: 3, patienceMs, loginMs: patienceMs };
  const difference = compareAnswers(openTrace(fileOf(name)), await playedTo(port, name, pace));
  return difference && (difference.played ? "something else" : "nothing");
}
