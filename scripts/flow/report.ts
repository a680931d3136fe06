/**
 * How a run reads.
 *
 * Owns: the words. Does not own: what is in them.
 */
import type { FlowOptions } from "./options.ts";
import type { FlowFailure, FlowResult } from "./run-flow.ts";

/** What failed, with the command that does it again. */
export function formatFailure(options: FlowOptions, { lane, message, play, shrunk }: FlowFailure): string {
  const { seed, plays, lanes, largeInThousand } = options;
  return [
    `lane ${lane} failed: ${message}`,
    ...play,
    ...(shrunk
      ? [`shrunk in ${shrunk.tries} tries, alone on a fresh server: ${shrunk.message}`, ...shrunk.play]
      : ["alone on a fresh server it does not fail"]),
    `again: npm run flow -- --seed ${seed} --plays ${plays} --lanes ${lanes} --large ${largeInThousand}`,
  ].join("\n");
}

/** One line. */
export function formatSummary({ plays, seconds, bytes, failure }: FlowResult): string {
  const rate = `${Math.round(plays / seconds)} a second, ${Math.round(bytes / plays)} bytes each on average`;
  return `${plays} plays in ${seconds.toFixed(0)} s (${rate}): ${failure ? "one failed" : "all were right"}`;
}
