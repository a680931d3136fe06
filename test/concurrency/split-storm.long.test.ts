/**
 * Six clients that alternate between one and five parameters, every row checked against what was asked, and one way of
 * splitting at a time.
 *
 * Owns: that each way alone corrupts answers on the stock library, some without an error, and none on ours. Does not
 * own: the storm (`src/trace/storm.ts`), all ways and all shapes at once (`storm.test.ts`). `SEED=` repeats a run.
 *
 * @module-tag long
 */
import { describe, expect, it } from "vitest";
import { pipelineShapes } from "../../src/trace/storm/shapes.ts";
import { runStorm } from "../../src/trace/storm.ts";
import { caseServer } from "../support/case-server.ts";
import { runSeed } from "../support/random.ts";
import { targets } from "../support/servers.ts";

// Pipelines that a client ends itself: they need one thing of a server, that it runs each of them as one piece.
const shapes = pipelineShapes;
type StormOptions = Parameters<typeof runStorm>[1];
const cases: [string, Pick<StormOptions, "shapes" | "splits">, number][] = [
  ["whole, by drivers that describe first", { shapes: ["describe first"], splits: ["whole"] }, 3_000],
  ["split by Flush", { shapes, splits: ["flush"] }, 3_000],
  ["split at random bytes", { shapes, splits: ["random"] }, 3_000],
  ["in segments of one byte", { shapes, splits: ["bytes"] }, 500],
];
// The stock library leaves clients without an answer; finding that out takes longer than an answer,
// and once in a while it answers nobody any more.
const queriesOnStock = 150;

process.stdout.write(`split-storm: SEED=${runSeed}\n`);

describe.each(targets())(`a storm of six clients (SEED=${runSeed}) on %s`, (target) => {
  const server = caseServer(target);

  it.each(cases)("%s", async (_, options, queriesOnOurs) => {
    const queries = { ours: queriesOnOurs, stock: queriesOnStock }[target];
    const silence = target === "stock" ? { silenceMs: 2_000 } : {};
    const report = await runStorm(server.running, { ...options, ...silence, seed: runSeed, queries });
    if (target === "ours") {
      expect(report.examples).toEqual({});
      expect(report).toMatchObject({ total: queries, right: queries, refusedLogins: 0 });
    } else {
      expect(report.kinds.wrongRows, "wrong rows without an error").toBeGreaterThan(0);
      expect(report.corrupted / report.total).toBeGreaterThan(0.1);
    }
  });
});
