/**
 * The same as `rewind-stress.test.ts`, for long.
 *
 * @module-tag long
 */
import { amcheck } from "@electric-sql/pglite/contrib/amcheck";
import { test } from "vitest";
import { openMemoryFiles } from "../../../src/cluster/memory-files.ts";
import { Random } from "../../../src/trace/storm/random.ts";
import { runSeed } from "../../support/random.ts";
import { openHost } from "./support/open-host.ts";
import { stressRewinds } from "./support/rewind-stress.ts";

test(`sixty rewinds under a random load, seed ${runSeed}`, async () => {
  const files = await openMemoryFiles();
  const host = await openHost({
    ...{ dataDir: "memory://", files, copying: files.copying, maxSessions: 16, extensions: { amcheck } },
    sharedBuffers: "2MB",
  });
  await stressRewinds(host, new Random(runSeed), 60);
  await host.close();
});
