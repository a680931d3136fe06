/** Snapshots of a database in a directory where clients, or where its files are, would be in their way. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "hindered-copies-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

const start = (cwd: string, options: Parameters<typeof startDevDb>[0] = {}) =>
  startDevDb({ port: 0, migrations: "none", cwd, db: "data", log: () => {}, ...options });

async function query(db: DevDb, sql: string, database = "postgres") {
  const options = "-c statement_timeout=0 -c default_transaction_read_only=off -c search_path=public";
  const client = new pg.Client({ connectionString: db.url.replace(/postgres$/, database), options });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

test("what ALTER ROLE has set for clients is not for the server's own copies", async () => {
  const db = await start(newDirectory());
  onTestFinished(() => db.close());
  await query(db, "create table t (n int); create schema other; create table other.pg_database (datname name)");
  await query(
    db,
    `alter role postgres set statement_timeout = 1; alter role postgres set default_transaction_read_only = on;
     alter role postgres set search_path = other, pg_catalog`,
  );
  await db.snapshot("one");
  await query(db, "drop table t");
  await db.restore("one");
  expect(await query(db, "select count(*)::int as n from t")).toEqual([{ n: 0 }]);
});

test("what a server kept at its start does not outlive it where the database is in a tablespace", {
  tags: "long",
}, async () => {
  const directory = newDirectory();
  let db = await start(directory);
  await query(db, "alter system set allow_in_place_tablespaces = on", "template1");
  await query(db, "select pg_reload_conf()", "template1");
  await query(db, "create tablespace aside location ''", "template1");
  await query(db, "alter database postgres set tablespace aside", "template1");
  await db.close();
  db = await start(directory, { resets: "on" });
  await query(db, "create table precious (n int)");
  await db.close();
  db = await start(directory);
  onTestFinished(() => db.close());
  await expect(db.reset()).rejects.toThrow("nothing to reset to");
  expect(await query(db, "select count(*)::int as n from precious")).toEqual([{ n: 0 }]);
});
