/**
 * The start after an end without a checkpoint, when the log has records whose replay waits for every process.
 *
 * Such are DROP DATABASE, CREATE DATABASE with FILE_COPY, DROP TABLESPACE and what is made of them. `npm run test:kill-nine`
 * has all kinds of DDL, at random.
 */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openEngine } from "../../src/engine/kept-engine.ts";
import { startCli } from "../support/cli-process.ts";
import { readClusterState } from "../support/control-file.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";
import { killEngine } from "../support/killed-engine.ts";
import { productServer } from "../support/product-server.ts";
import { errorFields, rows } from "../support/wire-client.ts";

beforeAll(initializeTemplate);

/** Two databases and a tablespace are made, checkpointed and dropped; what is kept is a table, a database, a tablespace. */
const made = [
  "create table kept as select generate_series(1, 1000) n",
  "set allow_in_place_tablespaces = on",
  "create tablespace kept_space location ''",
  "create tablespace dropped_space location ''",
  "create database kept_database",
  "create database dropped_database",
  "create database moved_database",
  "checkpoint",
];
const replayed = [
  ["DROP DATABASE", ["drop database dropped_database"]],
  ["CREATE DATABASE with FILE_COPY", ["create database copied_database strategy file_copy template kept_database"]],
  ["ALTER DATABASE SET TABLESPACE", ["alter database moved_database set tablespace kept_space"]],
  ["ALTER DATABASE RENAME", ["alter database moved_database rename to renamed_database"]],
  ["DROP TABLESPACE", ["drop tablespace dropped_space"]],
] as const;

/** Those that are replayed as soon as they are answered; the others follow their own checkpoint, or wait for nothing. */
const waiting: ReadonlySet<string> = new Set(["DROP DATABASE", "ALTER DATABASE SET TABLESPACE", "DROP TABLESPACE"]);

async function start(db: string, sessions = "isolated") {
  const cli = startCli(["--port", "0", "-o", "json", "--db", db, "--sessions", sessions]);
  const { url } = JSON.parse((await cli.line(/^.*\n/))[0]!);
  const sql = postgres(url, { max: 1, onnotice: () => {}, max_lifetime: null });
  onTestFinished(() => sql.end({ timeout: 1 }));
  return { cli, sql, url };
}

type Sql = Awaited<ReturnType<typeof start>>["sql"];

async function run(sql: Sql, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await sql.unsafe(statement);
}

/** What the catalog knows: databases with their tablespaces, tablespaces, and the rows of the table. */
async function inventory(sql: Sql): Promise<unknown> {
  const databases = await sql`
    select datname, spcname from pg_database d join pg_tablespace t on t.oid = dattablespace order by 1`;
  const tablespaces = await sql`select spcname from pg_tablespace order by 1`;
  const [kept] = await sql`select count(*)::int, sum(n)::int from kept`;
  return { databases: [...databases], tablespaces: [...tablespaces], kept };
}

/** Each database takes connections, so its files are there. */
async function expectDatabasesToOpen(sql: Sql, url: string): Promise<void> {
  for (const { datname } of await sql`select datname from pg_database where datallowconn`) {
    const other = postgres(url, { max: 1, database: datname, onnotice: () => {} });
    expect(await other`select current_database() as name`).toEqual([{ name: datname }]);
    await other.end();
  }
}

test.each(replayed.filter(([name]) => waiting.has(name)))(
  "%s is replayed after kill -9",
  { tags: "long" },
  async (_, statements) => {
    const db = initializedDirectory();
    const { cli, sql } = await start(db);
    await run(sql, [...made, ...statements]);
    const before = await inventory(sql);
    cli.child.kill("SIGKILL");
    await cli.ended;
    const again = await start(db);
    expect(await inventory(again.sql)).toEqual(before);
    await expectDatabasesToOpen(again.sql, again.url);
  },
);

test("all of it is replayed after a stop whose last checkpoint failed, and once more after a kill in that start", {
  tags: "long",
}, async () => {
  const db = initializedDirectory();
  const { cli, sql } = await start(db);
  await run(sql, made);
  const [file] = await sql`select pg_relation_filepath('kept') as path`;
  for (const [, statements] of replayed) await run(sql, statements);
  await sql`insert into kept values (0)`;
  const before = await inventory(sql);
  // A directory in the place of a file that a checkpoint has to write.
  const path = join(db, file!.path);
  renameSync(path, `${path}.away`);
  mkdirSync(path);
  cli.child.kill("SIGTERM");
  expect(await cli.ended).toMatchObject({ code: 143, stderr: expect.stringContaining("will recover from the log") });
  rmdirSync(path);
  renameSync(`${path}.away`, path);
  expect(readClusterState(db)).not.toBe("shut down");

  const killed = startCli(["--port", "0", "-o", "json", "--db", db, "--sessions", "isolated"]);
  await expect.poll(() => readClusterState(db), { timeout: 300_000, interval: 1 }).toBe("in crash recovery");
  killed.child.kill("SIGKILL");
  await killed.ended;
  const again = await start(db);
  expect(await inventory(again.sql)).toEqual(before);
  await expectDatabasesToOpen(again.sql, again.url);
});

test("prepared transactions wait for their end in a directory that is opened with the other kind of sessions", {
  tags: "long",
}, async () => {
  const db = initializedDirectory();
  for (const [round, sessions] of ["isolated", "shared", "isolated"].entries()) {
    const { cli, sql } = await start(db, sessions);
    if (round === 0) await sql`create table kept (n int)`;
    else await sql.unsafe(`commit prepared 'round ${round - 1}'`);
    expect(await sql`select count(*)::int from kept`).toEqual([{ count: round }]);
    await sql.unsafe(`begin; insert into kept values (${round}); prepare transaction 'round ${round}'`);
    cli.child.kill(round === 0 ? "SIGTERM" : "SIGKILL");
    await cli.ended;
  }
});

test("a prepared transaction is not lost by a kill inside of a checkpoint", async () => {
  const db = initializedDirectory();
  const killed = await start(db);
  const prepare = (n: number) => `begin; insert into kept values (${n}); prepare transaction 'p${n}'`;
  await run(killed.sql, ["create table kept (n int)", prepare(1), "checkpoint", prepare(2), prepare(3)]);
  killed.cli.child.kill("SIGKILL");
  await killed.cli.ended;
  // What the next checkpoint writes before its own record: that of the recovery of a copy.
  const copy = `${db}.copy`;
  cpSync(db, copy, { recursive: true });
  const recovered = await start(copy);
  recovered.cli.child.kill("SIGKILL");
  await recovered.cli.ended;
  const [before, after] = [db, copy].map((directory) => readdirSync(join(directory, "pg_twophase")));
  expect([before, after]).toEqual([[expect.any(String)], [...before!, expect.any(String), expect.any(String)]]);
  cpSync(join(copy, "pg_twophase"), join(db, "pg_twophase"), { recursive: true });

  const { sql } = await start(db);
  expect(await sql`select gid from pg_prepared_xacts order by 1`).toEqual([
    { gid: "p1" },
    { gid: "p2" },
    { gid: "p3" },
  ]);
  await run(sql, ["commit prepared 'p2'", "rollback prepared 'p3'", "commit prepared 'p1'"]);
  expect(await sql`select n from kept order by 1`).toEqual([{ n: 1 }, { n: 2 }]);
  expect(readdirSync(join(db, "pg_twophase"))).toEqual([]);
});

test("a start that takes long says that it recovers, and one that has nothing to recover does not", {
  tags: "long",
}, async () => {
  const db = initializedDirectory();
  const said = async () => {
    const log: string[] = [];
    const options = { dataDir: db, extensions: [], maxSessions: 5, slowStartMs: 0 };
    const engine = await openEngine({ ...options, log: (_, line) => void log.push(line) });
    await engine.close();
    return log;
  };
  const { cli } = await start(db);
  cli.child.kill("SIGKILL");
  await cli.ended;
  const recovers = `PostgreSQL recovers ${db} from its write-ahead log, because it was not shut down the last time`;
  expect(await said()).toContainEqual(`still starting after 0 s: ${recovers}`);
  expect(await said()).toContainEqual(`still starting after 0 s: PostgreSQL starts on ${db}`);
});

describe("an engine that dies (mocked)", () => {
  const directory = mkdtempSync(join(tmpdir(), "pglite-devdb-recovery-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
  const path = join(directory, "db");
  mkdirSync(path);
  const server = productServer({ engine: { dataDir: path } });

  test("is followed by one that replays DROP DATABASE and DROP TABLESPACE", async () => {
    const client = await server.login();
    for (const statement of [...made, ...replayed.flatMap(([, statements]) => statements)]) {
      expect(errorFields(await client.query(statement))).toBeUndefined();
    }
    expect((await killEngine(server)).get("C")).toBe("57P02");
    const next = await server.login();
    expect(rows(await next.query("select count(*) from kept"))).toEqual([["1000"]]);
    const names = "select datname from pg_database where datname like '%\\_database' order by 1";
    expect(rows(await next.query(names))).toEqual([["copied_database"], ["kept_database"], ["renamed_database"]]);
    expect(rows(await next.query("select spcname from pg_tablespace where spcname like '%\\_space'"))).toEqual([
      ["kept_space"],
    ]);
  });
});
