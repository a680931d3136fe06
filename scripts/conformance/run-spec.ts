/**
 * All chosen permutations of one specification.
 *
 * Owns: the connections over all permutations, and going on after one that could not be run to its end. Does not own:
 * the server (`server.ts`), one permutation (`run-permutation.ts`), whether it printed the right thing (`judge.ts`).
 * Invariant: whatever a permutation does to the server or leaves in the database, it fails alone; the next one finds new
 * connections to a server that answers, and an empty database.
 */
import { ConnectionLost } from "./backend-link.ts";
import { type Connections, closeConnections, openConnections } from "./connections.ts";
import type { Ending, PermutationRun } from "./judge.ts";
import { runPermutation } from "./run-permutation.ts";
import type { ServerUnderTest } from "./server.ts";
import { permutationName, type Spec } from "./spec.ts";
import { TimeIsOver, TimeLimit } from "./time-limit.ts";

/** Runs the permutations at these places, in their order, and hands over each as it ends. */
export async function runSpec(
  server: ServerUnderTest,
  name: string,
  spec: Spec,
  chosen: readonly number[],
  limitMs: number,
  onRun: (index: number, run: PermutationRun) => void,
): Promise<void> {
  const limit = new TimeLimit(limitMs);
  let text = "";
  const print = (more: string): void => {
    text += more;
  };
  let connections: Connections | undefined;
  const connect = async (): Promise<Connections> => {
    try {
      return await openConnections(server.place, spec, name, print, limit);
    } catch {
      // What an earlier permutation left behind is not to count against this one.
      await server.replace();
      limit.restart();
      text = "";
      return await openConnections(server.place, spec, name, print, limit);
    }
  };
  for (const index of chosen) {
    const permutation = spec.permutations[index]!;
    const started = performance.now();
    limit.restart();
    text = "";
    let ending: Ending = "ran";
    let isClean = false;
    try {
      connections ??= await connect();
      isClean = await runPermutation(spec, permutation, connections);
    } catch (error) {
      print(`${(error as Error).message}\n`);
      ending = endingOf(error);
    }
    if (!isClean && connections) {
      closeConnections(connections, "at once");
      connections = undefined;
    }
    const ms = Math.round(performance.now() - started);
    if (!isClean && (await server.recover()) === "it had died") ending = "server died";
    onRun(index, { name: permutationName(permutation), text, ending, ms });
  }
  if (connections) closeConnections(connections, "politely");
}

function endingOf(error: unknown): Ending {
  if (error instanceof TimeIsOver) return "time over";
  return error instanceof ConnectionLost ? "connection lost" : "failed";
}
