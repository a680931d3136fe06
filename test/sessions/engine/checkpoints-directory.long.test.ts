/**
 * Checkpoints of real sessions in a directory: what fails, what is synced, how it ends and what is recovered.
 *
 * @module-tag long
 */
import { cpSync, mkdirSync, renameSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { amcheck } from "@electric-sql/pglite/contrib/amcheck";
import { beforeAll, expect, test } from "vitest";
import { openDirectoryFiles } from "../../../src/engine/data-directory/directory-files.ts";
import { Random } from "../../../src/trace/storm/random.ts";
import { readClusterState } from "../../support/control-file.ts";
import { initializedDirectory, initializeTemplate } from "../../support/data-directory.ts";
import { failFsyncs, noteFsyncs } from "../../support/fsyncs.ts";
import { runSeed } from "../../support/random.ts";
import { openHost } from "./support/open-host.ts";
import { SqlSession } from "./support/sql-session.ts";
import { damage, prepareStress, runStress } from "./support/stress.ts";

beforeAll(initializeTemplate);

async function open(dataDir: string, more: Partial<Parameters<typeof openHost>[0]> = {}) {
  return openHost({ dataDir, maxSessions: 10, extensions: { amcheck }, sharedBuffers: "1MB", ...more });
}

/** Puts a directory where a file is; the result undoes that. */
function hide(path: string): () => void {
  renameSync(path, `${path}.away`);
  mkdirSync(path);
  return () => {
    rmdirSync(path);
    renameSync(`${path}.away`, path);
  };
}

test("a checkpoint that fails is an error of whoever asked for it; the next one does what it left", async () => {
  const path = initializedDirectory();
  const host = await open(path);
  const [a, b] = [await SqlSession.open(host), await SqlSession.open(host)];
  await a.rows("create table t as select g from generate_series(1, 1000) g");
  const [file] = await a.rows("select pg_relation_filepath('t')");
  await a.rows("checkpoint; insert into t values (0)");
  const unhide = hide(join(path, file!));
  expect(await a.query("checkpoint")).toMatchObject({ error: "XX000", message: "checkpoint request failed" });
  // The checkpointer pauses now; whoever waits for it can be told not to.
  const waiting = await a.startsWaiting("checkpoint");
  expect(await b.rows("select 1")).toEqual(["1"]);
  host.cancel(a.session);
  expect((await waiting.answer).error).toBe("57014");
  unhide();
  expect((await b.query("checkpoint")).error).toBeUndefined();
  await host.close();
  expect(readClusterState(path)).toBe("shut down");
});

test("an end without the last checkpoint says so and is recovered from", async () => {
  const path = initializedDirectory();
  const host = await open(path);
  const a = await SqlSession.open(host);
  await a.rows("create table t as select g from generate_series(1, 1000) g");
  const [file] = await a.rows("select pg_relation_filepath('t')");
  await a.rows("checkpoint; insert into t values (0)");
  const unhide = hide(join(path, file!));
  await expect(host.close()).rejects.toThrow("last checkpoint failed");
  expect(readClusterState(path)).not.toBe("shut down");
  unhide();
  const again = await open(path);
  expect(await (await SqlSession.open(again)).rows("select count(*) from t")).toEqual(["1001"]);
  await again.close();
});

test("a dropped table's file goes with the next checkpoint", async () => {
  const host = await open(initializedDirectory());
  const [a, b] = [await SqlSession.open(host), await SqlSession.open(host)];
  await a.rows("create table t as select g from generate_series(1, 1000) g");
  const [path] = await a.rows("select pg_relation_filepath('t')");
  const there = `select count(*) from pg_stat_file('${path}', true) where size is not null`;
  await b.rows("select * from t; drop table t");
  expect(await a.rows(there)).toEqual(["1"]);
  await a.rows("checkpoint");
  expect(await a.rows(there)).toEqual(["0"]);
  await host.close();
});

test(`under load with checkpoints all the time: an end leaves nothing to recover, a copy recovers, seed ${runSeed}`, async () => {
  const [path, copy] = [initializedDirectory(), join(initializedDirectory(), "copy")];
  const host = await open(path, { settings: { max_wal_size: "32MB", min_wal_size: "32MB" } });
  const a = await SqlSession.open(host);
  await prepareStress(a);
  let stopped = false;
  const checkpoints = (async () => {
    for (; !stopped; await new Promise((resolve) => setImmediate(resolve))) await a.rows("checkpoint");
  })();
  const { committed, wrongSums } = await runStress(host, new Random(runSeed), 5, 4000);
  stopped = true;
  await checkpoints;
  expect(wrongSums).toEqual([]);
  const b = await SqlSession.open(host);
  await b.rows("begin; update accounts set balance = 0");
  // As after a power cut, in the middle of a checkpoint that is spread over minutes.
  await a.rows("create table more as select g, repeat('x', 1000) from generate_series(1, 40000) g");
  cpSync(path, copy, { recursive: true });
  await b.rows("rollback");
  expect(await damage(a, committed)).toEqual([]);
  await host.close();
  expect(readClusterState(path)).toBe("shut down");

  for (const directory of [copy, path]) {
    const again = await open(directory);
    const c = await SqlSession.open(again);
    expect(await damage(c, committed)).toEqual([]);
    expect(await c.rows("select count(*) from more")).toEqual(["40000"]);
    await again.close();
  }
});

test("fsync on: a checkpoint syncs what any session has written, also when nobody remembers it but PostgreSQL", async () => {
  const path = initializedDirectory();
  const files = await openDirectoryFiles({ path, fsync: true });
  const settings = { fsync: "on", wal_sync_method: "fsync" };
  const host = await open(path, { ...(files.fs ? { files: files.fs } : {}), sharedBuffers: "128kB", settings });
  const [a, b, c] = [await SqlSession.open(host), await SqlSession.open(host), await SqlSession.open(host)];
  const calls = noteFsyncs();
  await a.rows("create table t as select g, repeat('x', 500) from generate_series(1, 2000) g");
  const [file] = await a.rows("select pg_relation_filepath('t')");
  // There are 16 buffers: to read so much, it has to write out what is left of the table.
  await b.rows("select count(*) from pg_proc, pg_attribute where pg_proc.oid = 1 or attnum = 1");
  await c.rows("checkpoint");
  if (process.platform === "linux") expect(calls).toContain(join(path, file!));
  expect(calls.length).toBeGreaterThan(2);
  await host.close();
  expect(readClusterState(path)).toBe("shut down");
});

test("fsync on: a file that cannot be synced ends PostgreSQL, as there; nothing that was committed is lost", async () => {
  const path = initializedDirectory();
  const files = await openDirectoryFiles({ path, fsync: true });
  const settings = { fsync: "on", wal_sync_method: "fsync" };
  const host = await open(path, { ...(files.fs ? { files: files.fs } : {}), settings });
  const a = await SqlSession.open(host);
  await a.rows("create table t as select g from generate_series(1, 1000) g");
  const mended = failFsyncs((file) => /\/base\/\d+\/\d+$/.test(file));
  void a.query("checkpoint");
  expect(String(await host.crash)).toMatch(/PANIC: {2}could not fsync file "base\/\d+\/\d+": I\/O error/);
  mended();
  const again = await open(path);
  const d = await SqlSession.open(again);
  expect(await d.rows("select count(*) from t")).toEqual(["1000"]);
  await again.close();
});
