/**
 * The storm of six clients, short enough for every test run: no wrong answer on ours, many on the stock library.
 *
 * Ours is the whole product here, with its engine on a thread, and the patched library alone; `split-storm.long.test.ts` has each way of
 * splitting by itself.
 *
 * Owns: nothing but the two targets; `src/trace/storm.ts` is the storm, and `hundred-thousand.long.test.ts` the long
 * form of this file. `SEED` and `QUERIES` choose what is asked, `TARGETS` whom.
 */
import { randomInt } from "node:crypto";
import { expect, test } from "vitest";
import { keptStatementAgain, pipelineShapes, sessionShapes } from "../../src/trace/storm/shapes.ts";
import { splits } from "../../src/trace/storm/split.ts";
import { runStorm } from "../../src/trace/storm.ts";
import { ProductServer } from "../support/product-server.ts";
import { startServer, targets } from "../support/servers.ts";

const seed = Number(process.env.SEED ?? randomInt(2 ** 32));
const queries = { ours: Number(process.env.QUERIES ?? 2_500), stock: 400 };

test.runIf(targets().includes("ours"))(
  `ours answers every query of a storm of six clients right (seed ${seed})`,
  async () => {
    const server = new ProductServer({});
    await server.start();
    try {
      const report = await runStorm(server.transport, { seed, queries: queries.ours });
      expect(report.examples).toEqual({});
      expect(report).toMatchObject({ total: queries.ours, right: queries.ours, corrupted: 0, refusedLogins: 0 });
      expect(report.stopped).toBeUndefined();
      // A split or a shape that did not come has not been tested.
      expect(Object.keys(report.splits).sort()).toEqual([...splits].sort());
      expect(Object.keys(report.shapes).sort()).toEqual(
        [...pipelineShapes, ...sessionShapes, keptStatementAgain].sort(),
      );
    } finally {
      await server.stop();
    }
  },
);

test.runIf(targets().includes("ours"))(
  `so does the patched library with its own queue, over a bare PGlite (seed ${seed})`,
  async () => {
    const server = await startServer("ours");
    try {
      const report = await runStorm(server, { seed, queries: queries.ours });
      expect(report.examples).toEqual({});
      expect(report).toMatchObject({ total: queries.ours, right: queries.ours, corrupted: 0, refusedLogins: 0 });
    } finally {
      await server.stop();
    }
  },
);

test.runIf(targets().includes("stock"))(
  `the stock library corrupts more than a tenth of the queries of a storm of six clients (seed ${seed})`,
  async () => {
    const server = await startServer("stock");
    try {
      const report = await runStorm(server, { seed, queries: queries.stock, shapes: pipelineShapes });
      expect(report.corrupted / report.total).toBeGreaterThan(0.1);
      expect(report.kinds.wrongRows).toBeGreaterThan(0);
    } finally {
      await server.stop();
    }
  },
);
