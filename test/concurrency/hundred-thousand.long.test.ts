/**
 * The long storm, on the program that is built: six clients and at least 100,000 queries, none of them answered wrong;
 * then the stock library in the same run, with the queries that need no sessions.
 *
 * Owns: the two storms and printing their figures. Does not own: the storm (`src/trace/storm.ts`).
 * `npm run test:long` runs it; `SEED` and `QUERIES` (for ours) choose what is asked.
 *
 * @module-tag long
 */
import { randomInt } from "node:crypto";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { reproText, share } from "../../src/trace/repro/report.ts";
import { startServerProcess } from "../../src/trace/repro/server-process.ts";
import type { ReproTarget } from "../../src/trace/repro.ts";
import { keptStatementAgain, pipelineShapes, sessionShapes } from "../../src/trace/storm/shapes.ts";
import { splits } from "../../src/trace/storm/split.ts";
import { runStorm, type StormReport } from "../../src/trace/storm.ts";

const seed = Number(process.env.SEED ?? randomInt(2 ** 32));
const queries = { patched: Number(process.env.QUERIES ?? 100_000), stock: 2_000 };
const shapes = { patched: [...pipelineShapes, ...sessionShapes], stock: pipelineShapes };
const cli = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const reports: Partial<Record<ReproTarget, StormReport>> = {};

process.stdout.write(`storm: seed ${seed}, ${queries.patched} queries\n`);

async function stormOn(target: ReproTarget): Promise<StormReport> {
  const server = await startServerProcess(cli, ["repro", "--serve", target], new AbortController().signal);
  let printed = 0;
  try {
    const report = await runStorm(server.address, {
      seed,
      queries: queries[target],
      shapes: shapes[target],
      onProgress: (counts, seconds) => {
        if (seconds < printed + 20) return;
        printed = seconds;
        process.stdout.write(`storm: ${target} after ${Math.round(seconds)} s: corrupted ${share(counts)}\n`);
      },
    });
    reports[target] = report;
    return report;
  } finally {
    await server.stop();
  }
}

afterAll(() => {
  const { stock, patched } = reports;
  if (!stock || !patched) return;
  const byShape = Object.entries(patched.shapes).map(([shape, counts]) => `  ${shape}: ${share(counts)}\n`);
  process.stdout.write(`${reproText({ stock, patched })}\nthe patched library, by shape\n${byShape.join("")}`);
});

test("ours answers every query right", async () => {
  const report = await stormOn("patched");
  expect(report.examples).toEqual({});
  expect(report).toMatchObject({ right: queries.patched, total: queries.patched, corrupted: 0, refusedLogins: 0 });
  expect(report.stopped).toBeUndefined();
  expect(Object.keys(report.splits).sort()).toEqual([...splits].sort());
  expect(Object.keys(report.shapes).sort()).toEqual([...shapes.patched, keptStatementAgain].sort());
});

test("the stock library corrupts more than a tenth", async () => {
  const report = await stormOn("stock");
  expect(report.corrupted / report.total).toBeGreaterThan(0.1);
  expect(report.kinds.wrongRows).toBeGreaterThan(0);
  const flush = report.splits.flush!;
  expect(flush.corrupted / flush.total).toBeGreaterThan(0.1);
});
