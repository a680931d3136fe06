/** What is added to the files of a durable database: fsync, counted at Node (its calls are the real ones, and noted), and rename. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import postgres from "postgres";
import { beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { openDirectoryFiles } from "../../src/engine/data-directory/directory-files.ts";
import { lockDirectory } from "../../src/engine/data-directory/directory-lock.ts";
import { startCli } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";
import { noteFsyncs } from "../support/fsyncs.ts";

const failingFsync = new URL("../support/failing-fsync.ts", import.meta.url).href;

let path: string;
beforeAll(initializeTemplate);
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), "fsync-"));
  return () => rmSync(path, { recursive: true, force: true });
});

test("on: every COMMIT has synced the WAL when it is answered; the new database itself is synced too", async () => {
  const calls = noteFsyncs();
  const engine = await PGlite.create(await openDirectoryFiles({ path, fsync: true }));
  onTestFinished(() => engine.close());
  expect(calls.length).toBeGreaterThan(900);
  expect((await engine.query("show fsync")).rows).toEqual([{ fsync: "on" }]);
  await engine.exec("create table t (n int)");
  for (let n = 0; n < 3; n++) {
    calls.length = 0;
    await engine.exec(`insert into t values (${n})`);
    expect(calls).not.toEqual([]);
    if (process.platform === "linux") expect(calls[0]).toMatch(/\/pg_wal\/[0-9A-F]{24}$/);
  }
  calls.length = 0;
  await engine.exec("checkpoint");
  expect(calls.some((file) => /\/base\/\d+\/\d+$/.test(file) || process.platform !== "linux")).toBe(true);
});

test("on, where it was off before: what is there is synced before anything is built on it", {
  tags: "long",
}, async () => {
  const db = initializedDirectory();
  const before = await PGlite.create(await openDirectoryFiles({ path: db, fsync: false }));
  await before.exec("create table t (n int); insert into t values (1)");
  const [{ file }] = (await before.query<{ file: string }>("select pg_relation_filepath('t') as file")).rows as [
    { file: string },
  ];
  await before.close();
  const calls = noteFsyncs();
  const files = await openDirectoryFiles({ path: db, fsync: true });
  const engine = await PGlite.create(files);
  onTestFinished(() => engine.close());
  expect(calls.length).toBeGreaterThan(900);
  if (process.platform === "linux") expect(calls).toContain(join(db, file));
});

test("a rename replaces its target in one step", { tags: "long" }, async () => {
  const db = initializedDirectory();
  const engine = await PGlite.create(await openDirectoryFiles({ path: db, fsync: false }));
  onTestFinished(() => engine.close());
  const { FS } = engine.Module;
  const { unlink } = FS;
  const unlinked: string[] = [];
  FS.unlink = (name: string) => {
    unlinked.push(name);
    unlink(name);
  };
  FS.writeFile(`${PGlite.paths.PGDATA}/old`, "old");
  FS.writeFile(`${PGlite.paths.PGDATA}/new`, "new");
  FS.rename(`${PGlite.paths.PGDATA}/new`, `${PGlite.paths.PGDATA}/old`);
  expect(unlinked).toEqual([]);
  expect(FS.readFile(`${PGlite.paths.PGDATA}/old`, { encoding: "utf8" })).toBe("new");
  expect(readFileSync(join(db, "old"), "utf8")).toBe("new");
  expect(FS.analyzePath(`${PGlite.paths.PGDATA}/new`).exists).toBe(false);
});

test("without a descriptor to work below (no /proc), too, nothing is changed in what has come to the path", async () => {
  const db = initializedDirectory();
  const lock = await lockDirectory(db);
  onTestFinished(() => lock.release());
  const identity = { ...lock.directory.identity, place: db };
  const engine = await PGlite.create(await openDirectoryFiles({ path: db, identity, fsync: false }));
  await engine.exec("create table t (n int)");
  renameSync(db, `${db}.old`);
  mkdirSync(db);
  const lost = `${db} is not this server's data directory any more: it has been moved`;
  await expect(engine.exec("create table u (n int); insert into t values (1); checkpoint")).rejects.toThrow();
  const { FS } = engine.Module;
  const { PGDATA } = PGlite.paths;
  expect(() => FS.writeFile(`${PGDATA}/global/new`, "new")).toThrow();
  expect(() => FS.writeFile(`${PGDATA}/new`, "new")).toThrow(lost);
  expect(() => FS.mkdir(`${PGDATA}/made`)).toThrow(lost);
  expect(() => FS.unlink(`${PGDATA}/PG_VERSION`)).toThrow(lost);
  expect(readdirSync(db)).toEqual([]);
});

test("a postmaster.pid that a kill has left empty does not keep the next start from opening", async () => {
  const db = initializedDirectory();
  writeFileSync(join(db, "postmaster.pid"), "");
  const engine = await PGlite.create(await openDirectoryFiles({ path: db, fsync: false }));
  expect((await engine.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  await engine.close();
});

test("off: nothing is synced, as in PGlite itself", { tags: "long" }, async () => {
  const db = initializedDirectory();
  const calls = noteFsyncs();
  const engine = await PGlite.create(await openDirectoryFiles({ path: db, fsync: false }));
  onTestFinished(() => engine.close());
  expect((await engine.query("show fsync")).rows).toEqual([{ fsync: "off" }]);
  await engine.exec("create table t (n int); insert into t values (1); checkpoint");
  expect(calls).toEqual([]);
});

test("on: a COMMIT whose sync fails is not answered as one; what was committed before stays (a stand-in makes it fail)", {
  tags: "long",
}, async () => {
  const db = initializedDirectory();
  const failing = join(path, "failing");
  const cli = startCli(["--port", "0", "-o", "json", "--db", db, "--fsync", "on"], {
    environment: { NODE_OPTIONS: `--import ${failingFsync}`, FSYNC_FAILS_WHILE: failing },
  });
  const { url } = JSON.parse((await cli.line(/^.*\n/))[0]!);
  const connect = () => postgres(url, { max: 1, onnotice: () => {} });
  const first = connect();
  await first`create table t (n int)`;
  await first`insert into t values (1)`;
  writeFileSync(failing, "");
  await expect(first`insert into t values (2)`).rejects.toThrow();
  rmSync(failing);
  await first.end({ timeout: 1 });
  const second = connect();
  expect(await second`select n from t where n = 1`).toEqual([{ n: 1 }]);
  await second.end();
  cli.child.kill("SIGTERM");
  expect((await cli.ended).code).toBe(143);
});
