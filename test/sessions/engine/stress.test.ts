/** A seeded random load on ten sessions: the sums are exact, no committed row is lost, the tables are sound. */
import { amcheck } from "@electric-sql/pglite/contrib/amcheck";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { SessionHost } from "../../../src/sessions/host.ts";
import { Random } from "../../../src/trace/storm/random.ts";
import { runSeed } from "../../support/random.ts";
import { openHost } from "./support/open-host.ts";
import { SqlSession } from "./support/sql-session.ts";
import { damage, prepareStress, runStress, type StressCounts } from "./support/stress.ts";

const milliseconds = Number(process.env.STRESS_SECONDS ?? 4) * 1000;
let host: SessionHost;

beforeAll(async () => {
  host = await openHost({
    dataDir: "memory://",
    maxSessions: 16,
    extensions: { amcheck },
    sharedBuffers: "1MB",
  });
});
afterAll(() => host?.close());

test(`ten sessions under a random load, seed ${runSeed}`, async () => {
  const observer = await SqlSession.open(host);
  await prepareStress(observer);
  // The load has reached what it is for.
  const isEnough = ({ committed, errors }: StressCounts) => committed > 0 && (errors["40001"] ?? 0) > 0;
  const counts = await runStress(host, new Random(runSeed), 10, milliseconds, isEnough);
  expect(counts.wrongSums).toEqual([]);
  expect(await damage(observer, counts.committed)).toEqual([]);
  expect(host.openSessions).toBe(1);
  process.stdout.write(`${JSON.stringify({ seed: runSeed, ...counts, switches: host.scheduler.switches })}\n`);
});
