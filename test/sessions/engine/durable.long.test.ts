/**
 * Sessions on a data directory: what is committed survives an end without a shutdown, what is not does not.
 *
 * @module-tag long
 */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { amcheck } from "@electric-sql/pglite/contrib/amcheck";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Random } from "../../../src/trace/storm/random.ts";
import { runSeed } from "../../support/random.ts";
import { openHost } from "./support/open-host.ts";
import { SqlSession } from "./support/sql-session.ts";
import { damage, prepareStress, runStress } from "./support/stress.ts";

const options = { maxSessions: 10, extensions: { amcheck }, sharedBuffers: "1MB" };
let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "sessions-test-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test(`a copy of a directory with sessions open recovers to what was committed, seed ${runSeed}`, async () => {
  const running = await openHost({ ...options, dataDir: join(directory, "running") });
  const a = await SqlSession.open(running);
  const b = await SqlSession.open(running);
  await prepareStress(a);
  const { committed } = await runStress(running, new Random(runSeed), 5, 3000);
  await b.rows("begin; insert into log (client, number) values (-1, -1); update accounts set balance = 0");
  const waiting = await a.startsWaiting("update accounts set balance = balance + 0 where id = 1");
  // As after a power cut: nothing was shut down. The lock file is that of a process that is gone.
  cpSync(join(directory, "running"), join(directory, "copy"), { recursive: true });

  const recovered = await openHost({ ...options, dataDir: join(directory, "copy") });
  const c = await SqlSession.open(recovered);
  expect(await damage(c, committed)).toEqual([]);
  await recovered.close();

  await b.rows("commit");
  await waiting.answer;
  await running.close();
  const again = await openHost({ ...options, dataDir: join(directory, "running") });
  const d = await SqlSession.open(again);
  expect(await d.rows("select count(*) from log")).toEqual([String(committed + 1)]);
  await again.close();
});
