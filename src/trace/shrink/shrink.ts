/**
 * The smallest part of a script that fails in the same way.
 *
 * Owns: what is left out in which order, and when a smaller one is taken. Does not own: playing and judging it (the
 * caller does).
 * Invariant: what it returns has failed, twice, with the kind of the first verdict.
 */
import { joined, type Pieces, without } from "./pieces.ts";

/** Plays it; what it fails with, if it fails. */
type Fails = (steps: Pieces) => Promise<string | undefined>;

/** Shrinks a script that fails with `kind`. `onProgress` is told of every smaller one. */
export async function shrinkScript(
  steps: Pieces,
  kind: string,
  fails: Fails,
  onProgress: (smaller: Pieces) => void,
): Promise<Pieces> {
  const failsStill = async (candidate: Pieces): Promise<boolean> =>
    (await fails(candidate)) === kind && (await fails(candidate)) === kind;
  let smallest = steps;
  const tried = new Set<string>();
  const tryAll = async (candidates: (steps: Pieces) => Iterable<Pieces>): Promise<boolean> => {
    let isSmaller = false;
    for (let goesOn = true; goesOn; ) {
      goesOn = false;
      for (const candidate of candidates(smallest)) {
        const key = keyOf(candidate);
        if (tried.has(key)) continue;
        tried.add(key);
        if (!(await failsStill(candidate))) continue;
        smallest = candidate;
        [goesOn, isSmaller] = [true, true];
        onProgress(smallest);
        break;
      }
    }
    return isSmaller;
  };
  for (const by of ["connection", "pipeline", "write"] as const) await tryAll((from) => without(from, by));
  // Less of one makes less of the others possible.
  for (let goesOn = true; goesOn; ) {
    const results = [
      await tryAll((from) => without(from, "frame")),
      await tryAll(joined),
      await tryAll((from) => without(from, "connection")),
    ];
    goesOn = results.some(Boolean);
  }
  return smallest;
}

function keyOf(steps: Pieces): string {
  return steps
    .map((step) => `${step.connection}${step.kind}${step.kind === "send" ? step.bytes.toString("base64") : ""}`)
    .join();
}
