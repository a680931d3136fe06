/** What keeps PostgreSQL from starting in a data directory: its own words reach the person, and no bad advice. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { beforeAll, expect, test } from "vitest";
import { startDevDb } from "../../src/index.ts";
import { runCli, startCli } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";

beforeAll(initializeTemplate);

type Causes = readonly (readonly [string, (db: string) => void, readonly RegExp[]])[];

/** What is done to a directory, and what of PostgreSQL's words must be on stderr. */
const causes: Causes = [
  [
    "an ALTER SYSTEM that needs too much memory",
    (db) => appendFileSync(join(db, "postgresql.auto.conf"), "max_locks_per_transaction = 100000000\n"),
    [/FATAL: {2}.*memory/],
  ],
  [
    "garbage in postgresql.conf",
    (db) => appendFileSync(join(db, "postgresql.conf"), "what is this\n"),
    [/syntax error in file ".*\/data\/postgresql.conf" line \d+/, /FATAL: {2}configuration file .* contains errors/],
  ],
  [
    "pg_control that cannot be read",
    (db) => {
      rmSync(join(db, "global", "pg_control"));
      mkdirSync(join(db, "global", "pg_control"));
      // As a server leaves it that is killed: with the identifier of its shared memory.
      writeFileSync(join(db, "postmaster.pid"), "-42\n/pglite/data\n1795658264\n5432\n\n\n       20         1\n");
    },
    [/(FATAL|PANIC): {2}could not .* file "global\/pg_control": (Is a directory|.*)/],
  ],
];

/** More of them, which end where one of the others does. */
const alike: Causes = [
  [
    "standby.signal",
    (db) => writeFileSync(join(db, "standby.signal"), ""),
    [/FATAL: {2}standby mode is not supported by single-user servers/],
  ],
  [
    "no pg_hba.conf",
    (db) => rmSync(join(db, "pg_hba.conf")),
    [/could not open file ".*\/data\/pg_hba.conf": No such file/, /FATAL: {2}could not load .*\/data\/pg_hba.conf/],
  ],
  [
    "a setting that nobody knows",
    (db) => appendFileSync(join(db, "postgresql.auto.conf"), "no_such_setting = 1\n"),
    [/unrecognized configuration parameter "no_such_setting"/],
  ],
  [
    "ssl = on",
    (db) => appendFileSync(join(db, "postgresql.auto.conf"), "ssl = on\n"),
    [/SSL is not supported by this build/],
  ],
  [
    "backup_label",
    (db) => writeFileSync(join(db, "backup_label"), "not one\n"),
    [/FATAL: {2}invalid data in file "backup_label"/],
  ],
];

const isSaid = async (damage: (db: string) => void, words: readonly RegExp[]) => {
  const db = initializedDirectory();
  damage(db);
  const { code, stderr, stdout } = await runCli(["--port", "0", "--db", db]);
  for (const pattern of words) expect(stderr).toMatch(pattern);
  expect(stderr).toContain(`PostgreSQL does not start in ${db}:`);
  expect(stderr).not.toMatch(/delete|damaged|pglitec/);
  expect({ code, stdout }).toEqual({ code: 5, stdout: "" });
};

test.each(causes)("%s", (_, damage, words) => isSaid(damage, words));
test.each(alike)("%s", { tags: "long" }, (_, damage, words) => isSaid(damage, words));

test("the error that the library throws has them, too", { tags: "long" }, async () => {
  const db = initializedDirectory();
  writeFileSync(join(db, "standby.signal"), "");
  const starting = startDevDb({ port: 0, db, migrations: "none" });
  await expect(starting).rejects.toThrow(/FATAL: {2}standby mode is not supported by single-user servers/);
});

test("a symlinked pg_wal works, as initdb --waldir makes it", { tags: "long" }, async () => {
  const db = initializedDirectory();
  const wal = `${db}-wal`;
  renameSync(join(db, "pg_wal"), wal);
  symlinkSync(wal, join(db, "pg_wal"));
  const cli = startCli(["--port", "0", "-o", "json", "--migrations", "none", "--db", db]);
  const { url } = JSON.parse((await cli.line(/^.*\n/))[0]!);
  const client = new pg.Client(url);
  client.on("error", () => {});
  await client.connect();
  const before = readdirSync(wal).sort();
  await client.query("create table t (n int); select pg_switch_wal(); insert into t values (1)");
  cli.child.kill("SIGKILL");
  await cli.ended;
  expect(readdirSync(wal).sort()).not.toEqual(before);
  expect(readFileSync(join(db, "PG_VERSION"), "utf8")).toBe("18\n");
  const again = await startDevDb({ port: 0, db, migrations: "none" });
  const other = new pg.Client(again.url);
  await other.connect();
  expect((await other.query("select n from t")).rows).toEqual([{ n: 1 }]);
  await other.end();
  await again.close();
});

test("a tablespace outside of the directory is refused; one in place is there after a restart", {
  tags: "long",
}, async () => {
  const db = initializedDirectory();
  const query = async (...statements: string[]) => {
    const server = await startDevDb({ port: 0, db, migrations: "none" });
    const client = new pg.Client(server.url);
    await client.connect();
    try {
      let rows: unknown[] = [];
      for (const statement of statements) rows = (await client.query(statement)).rows;
      return rows;
    } finally {
      await client.end();
      await server.close();
    }
  };
  await expect(query("create tablespace ts location '/tmp'")).rejects.toMatchObject({
    code: "0A000",
    detail: expect.stringContaining('"/tmp"'),
    hint: expect.stringContaining("allow_in_place_tablespaces"),
  });
  const created = "create table placed (n int) tablespace ts";
  await query("set allow_in_place_tablespaces = on", "create tablespace ts location ''", created);
  await query("insert into placed values (7)");
  expect(await query("select n from placed")).toEqual([{ n: 7 }]);
});

test("in memory a tablespace lies where it is said to", async () => {
  const server = await startDevDb({ port: 0, migrations: "none" });
  const client = new pg.Client(server.url);
  await client.connect();
  await client.query("create tablespace ts location '/tmp'");
  await client.query("create table placed (n int) tablespace ts; insert into placed values (7); checkpoint");
  expect((await client.query("select n from placed")).rows).toEqual([{ n: 7 }]);
  await client.end();
  await server.close();
});

test.runIf(process.platform !== "win32")("all files are their owner's only", { tags: "long" }, async () => {
  const db = initializedDirectory();
  await (await startDevDb({ port: 0, db, migrations: "none" })).close();
  expect(statSync(db).mode & 0o777).toBe(0o700);
  const open = readdirSync(db, { recursive: true, encoding: "utf8" }).filter((name) => {
    return /pg_internal\.init$|pgstat\.stat$/.test(name) && (statSync(join(db, name)).mode & 0o077) !== 0;
  });
  expect(open).toEqual([]);
  expect(existsSync(join(db, "base", "5", "pg_internal.init"))).toBe(true);
});
