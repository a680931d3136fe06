/** A PostgreSQL that began with a snapshot cannot be told from one that has booted, but for what every start makes anew. */
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openMemoryFiles } from "../../../src/cluster/memory-files.ts";
import { loadPostgres } from "../../../src/sessions/boot.ts";
import type { SessionHost } from "../../../src/sessions/host.ts";
import { SnapshotCache } from "../../../src/sessions/snapshot/snapshot-cache.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { SqlSession } from "./support/sql-session.ts";

const options = { maxSessions: 12, settings: { max_locks_per_transaction: "65" } };
const directory = mkdtempSync(join(tmpdir(), "boot-snapshot-"));
const hosts: SessionHost[] = [];
/** Two that have booted, two that began with the snapshot of the first. */
let booted: [SqlSession, SqlSession];
let restored: [SqlSession, SqlSession];
/** The times between which the last one was started. */
let lastStart: [number, number];
const identifier = "select system_identifier from pg_control_system()";
/** Its identifier then. */
let lastIdentifier = "";

beforeAll(async () => {
  const postgres = await loadPostgres();
  const cacheOf = () => SnapshotCache.of(postgres, options, directory)!;
  const open = async (host: SessionHost | undefined) => {
    host!.scheduler.checkImages();
    hosts.push(host!);
    return SqlSession.open(host!);
  };
  const boot = async (cache: SnapshotCache) =>
    cache.boot({ dataDir: "memory://", files: await openMemoryFiles(), ...options, postgres });
  const restore = () => cacheOf().restore(postgres, options.maxSessions);
  const cache = cacheOf();
  expect(await restore()).toBeUndefined();
  const first = await open(await boot(cache));
  expect([cache.isDue, cache.keep(), cache.isDue]).toEqual([true, true, false]);
  const one = await open(await restore());
  const second = await open(await boot(cacheOf()));
  // What is kept in seconds differs, too.
  const seconds = () => Math.floor(Date.now() / 1000);
  const before = seconds();
  await waitUntil("another second has begun", () => seconds() > before);
  const began = Date.now();
  const other = await open(await restore());
  lastStart = [began, Date.now()];
  booted = [first, second];
  restored = [one, other];
  // All have done the same so far.
  for (const session of [...booted, ...restored]) [lastIdentifier] = (await session.rows(identifier)) as [string];
});
afterAll(async () => {
  for (const host of hosts) await host.close();
  rmSync(directory, { recursive: true, force: true });
});

test("the file is for its user only, and the only one", () => {
  expect(readdirSync(directory)).toEqual([expect.stringMatching(/^snapshot-\d+-[0-9a-f]{32}$/)]);
  if (process.platform !== "win32")
    expect(statSync(join(directory, readdirSync(directory)[0]!)).mode & 0o777).toBe(0o600);
});

const allFiles = `with recursive found(path, isdir) as (
  select name, (pg_stat_file(name)).isdir from pg_ls_dir('.') name
  union all
  select path || '/' || name, (pg_stat_file(path || '/' || name)).isdir
  from found, pg_ls_dir(path) name where isdir)`;
/** Written by what runs, at any time; or with the identifier and the time of the start in them. */
const changing = "path !~ '^(global/pg_control|pg_wal/[0-9A-F]{24}|postmaster\\.pid|pg_subtrans/.*|pg_xact/.*)$'";

/** What is equal in all servers after the same statements. */
const equal: Record<string, string> = {
  settings: "select * from pg_settings order by name",
  files: "select * from pg_file_settings order by sourceline, name",
  hba: "select * from pg_hba_file_rules",
  ident: "select * from pg_ident_file_mappings",
  databases: "select *, pg_database_size(oid) from pg_database order by oid",
  roles: "select * from pg_authid order by oid",
  tablespaces: "select *, pg_tablespace_size(oid), pg_tablespace_location(oid) from pg_tablespace order by oid",
  classes: "select oid, * from pg_class order by oid",
  functions: "select oid, * from pg_proc order by oid",
  operators: "select oid, * from pg_operator order by oid",
  types: "select oid, * from pg_type order by oid",
  collations: "select oid, * from pg_collation order by oid",
  extensions: "select *, (select count(*) from pg_available_extensions) from pg_extension",
  "what PostgreSQL is":
    "select version(), current_setting('server_version'), pg_encoding_to_char(encoding) from pg_database",
  config: "select * from pg_config",
  "time zones": "select name, abbrev from pg_timezone_names where name ~ '^Etc' order by name",
  "control: the system": "select pg_control_version, catalog_version_no from pg_control_system()",
  // But for its time: on a machine's first start two processes may each make the cluster that is kept.
  "control: a checkpoint": "select (to_jsonb(c) - 'checkpoint_time')::text from pg_control_checkpoint() c",
  "control: initdb": "select * from pg_control_init()",
  "control: recovery": "select * from pg_control_recovery()",
  wal: "select pg_is_in_recovery(), pg_walfile_name(pg_current_wal_insert_lsn()), pg_current_wal_insert_lsn()",
  "the WAL's files": "select name, size from pg_ls_waldir() order by name",
  files_: `${allFiles} select path, isdir, (pg_stat_file(path)).size from found where path not like 'pg_stat%' order by path`,
  contents: `${allFiles} select path, md5(pg_read_binary_file(path)) from found where not isdir and ${changing} order by path`,
  transactions:
    "select pg_current_xact_id()::text, pg_current_snapshot()::text, pg_snapshot_xmin(pg_current_snapshot())",
  locks:
    "select locktype, database, relation, virtualxid, virtualtransaction, pid, mode, granted, fastpath from pg_locks order by 1, 3, 4",
  activity: `select datid, datname, pid, leader_pid, usename, application_name, client_addr, wait_event_type, wait_event, state,
    backend_xid, backend_type from pg_stat_activity order by pid`,
  "prepared transactions": "select * from pg_prepared_xacts",
  "prepared statements": "select name, statement from pg_prepared_statements",
  cursors: "select name, statement from pg_cursors",
  "shared memory": "select * from pg_shmem_allocations order by name",
  libraries: "select file_name, module_name, version from pg_get_loaded_modules() order by file_name",
  contexts:
    "select name, ident, type, level from pg_backend_memory_contexts where name !~ '^(Portal|Expr|index info)' order by 1, 2, 4",
  dictionaries: "select * from ts_debug('english', 'The running dogs')",
  "statistics: databases":
    "select datid, datname, numbackends, conflicts, deadlocks, sessions_killed, stats_reset from pg_stat_database",
  "statistics: the WAL": "select stats_reset from pg_stat_wal",
  "statistics: the checkpointer":
    "select num_timed, num_requested, restartpoints_timed, stats_reset from pg_stat_checkpointer",
  "statistics: the writer": "select * from pg_stat_bgwriter",
  "statistics: the archiver": "select * from pg_stat_archiver",
  "statistics: input and output": "select backend_type, object, context, stats_reset from pg_stat_io order by 1, 2, 3",
  "statistics: caches": "select name, stats_reset from pg_stat_slru",
  "statistics: slots": "select * from pg_replication_slots, pg_stat_replication, pg_stat_subscription",
};

test.for(Object.entries(equal))("%s", async ([, sql]) => {
  const [first, second] = [await booted[0].rows(sql), await booted[1].rows(sql)];
  expect(second).toEqual(first);
  for (const session of restored) expect(await session.rows(sql)).toEqual(first);
});

/** What no two servers have in common. */
const different: Record<string, string> = {
  "the system identifier": identifier,
  "the start": "select pg_postmaster_start_time()",
  "the configuration's load": "select pg_conf_load_time()",
  uuids: "select gen_random_uuid()",
  "random numbers": "select random(), random(), random_normal()",
  "when its statistics of recovery began": "select stats_reset from pg_stat_recovery_prefetch",
  "a WAL segment": "select md5(pg_read_binary_file('pg_wal/' || pg_walfile_name(pg_current_wal_lsn()), 0, 8192))",
};

test.for(Object.entries(different))("every server has its own: %s", async ([, sql]) => {
  const found = [];
  for (const session of [...booted, ...restored]) found.push(...(await session.rows(sql)));
  expect(new Set(found).size).toBe(4);
});

test("what is of a start is of this one", async () => {
  const [, session] = restored;
  const [began, ended] = lastStart.map((ms) => ms / 1000) as [number, number];
  const seconds = async (sql: string) => Number(await session.rows(`select extract(epoch from ${sql})`));
  const isOfStart = (found: number) => found >= Math.floor(began) && found <= ended;
  for (const sql of [
    "pg_postmaster_start_time()",
    "pg_conf_load_time()",
    "(select pg_control_last_modified from pg_control_system())",
    "to_timestamp(split_part(pg_read_file('postmaster.pid'), E'\\n', 3)::bigint)",
    "(select min(backend_start) from pg_stat_activity)",
  ]) {
    const found = await seconds(sql);
    expect([sql, found, isOfStart(found)]).toEqual([sql, found, true]);
  }
  // The session's own clock goes on.
  for (const sql of ["now()", "clock_timestamp()"])
    expect(Math.abs((await seconds(sql)) - Date.now() / 1000)).toBeLessThan(60);
});

/** What is done in one session after the other, and what both answer to it. */
const deeds: Record<string, readonly string[]> = {
  tables: [
    "create table t (id serial primary key, x text unique, at timestamptz default now())",
    "insert into t (x) select 'x' || i from generate_series(1, 5000) i",
    "update t set x = x || 'y' where id % 3 = 0",
    "create index on t using gin (to_tsvector('english', x))",
    "vacuum analyze t",
    "reindex table t",
    "select count(*), sum(id), 't'::regclass::oid, pg_relation_filepath('t'), pg_relation_size('t') from t",
    "cluster t using t_pkey",
    "truncate t",
    "drop table t",
  ],
  "temporary tables": [
    "create temp table u (n int) on commit drop",
    "create temp table v as select 1 n",
    "select pg_my_temp_schema()::regnamespace, n from v",
  ],
  databases: [
    "create database other",
    "create database by_files strategy file_copy",
    "select oid, datname from pg_database order by 1",
    "drop database other",
    "drop database by_files",
  ],
  roles: [
    "create role somebody login password 'secret'",
    "grant select on pg_class to somebody",
    "set role somebody",
    "select current_user, has_table_privilege('pg_class', 'select')",
    "reset role",
    "alter role somebody set work_mem = '5MB'",
    "drop owned by somebody",
    "drop role somebody",
  ],
  "prepared transactions": [
    "create table p (n int)",
    "begin; insert into p values (1); prepare transaction 'one'",
    "select gid, owner, database from pg_prepared_xacts",
    "select count(*) from p",
    "commit prepared 'one'",
    "select * from p",
    "drop table p",
  ],
  "notifications to oneself": ["listen news", "notify news, 'hello'", "select pg_listening_channels()", "unlisten *"],
  procedures: [
    `create function f(n int) returns text language plpgsql as $$
      begin return 1 / n; exception when division_by_zero then return sqlerrm; end $$`,
    "select f(1), f(0)",
    "drop function f",
  ],
  settings: [
    "alter system set work_mem = '6MB'",
    "select pg_reload_conf()",
    "show work_mem",
    "alter system reset work_mem",
    "select pg_reload_conf()",
    "set statement_timeout = 20",
    "select pg_sleep(10)",
    "reset statement_timeout",
    "set timezone = 'Asia/Tokyo'; select '2024-01-01 00:00Z'::timestamptz",
    "reset timezone",
  ],
  errors: [
    "select 1/0",
    "select * from nowhere",
    "selec",
    "select convert_to('a', 'BIG5')",
    "copy (select 1) to program 'true'",
    "load 'nothing'",
  ],
  libraries: [
    "select to_tsvector('french', 'les chats'), convert_to('ä', 'LATIN1'), convert_from('\\xa4', 'LATIN9')",
    "create extension if not exists plpgsql",
    "do language plpgsql 'begin end'",
    "select xpath('/a/text()', '<a>1</a>'::xml), json_serialize('{}'), jsonb_path_query('[1]', '$[*]')",
    "select 'ß' collate \"C\" < 'z', lower('Ä'), upper('ß' collate \"und-x-icu\")",
  ],
  "large objects": ["select lo_from_bytea(4711, 'abc')", "select lo_get(4711)", "select lo_unlink(4711)"],
  WAL: ["checkpoint", "select pg_create_restore_point('here') is not null", "select pg_current_xact_id()::text"],
};

async function expectEqualAnswers(statements: readonly string[]): Promise<void> {
  for (const sql of statements) {
    const expected = await booted[0].query(sql);
    for (const session of restored) expect([sql, await session.query(sql)]).toEqual([sql, expected]);
  }
}

test.for(Object.entries(deeds))("what is done: %s", ([, statements]) => expectEqualAnswers(statements));

test("sessions of a restored one wait for each other, notify, cancel and end each other", async () => {
  const { host } = restored[1];
  const [a, b] = [await SqlSession.open(host), await SqlSession.open(host)];
  await a.rows("create table w (n int); insert into w values (1)");
  await a.rows("begin; update w set n = 2");
  const update = await b.startsWaiting("update w set n = n + 1 returning n");
  await a.rows("commit");
  expect((await update.answer).rows).toEqual(["3"]);
  await b.rows("listen news");
  await a.rows("notify news, 'hello'");
  await expect.poll(() => b.notifications()).toEqual(["news:hello"]);
  const sleep = await b.startsWaiting("select pg_sleep(1000)");
  host.cancel(b.session);
  expect((await sleep.answer).error).toBe("57014");
  const other = await b.startsWaiting("select pg_sleep(1000)");
  expect(await a.rows(`select pg_terminate_backend(${b.session.pid})`)).toEqual(["t"]);
  expect((await other.answer).error).toBe("57P01");
  const more: SqlSession[] = [];
  for (let count = 0; count < 4; count++) more.push(await SqlSession.open(host));
  const uuids = await Promise.all([a, ...more].map((session) => session.rows("select gen_random_uuid(), random()")));
  expect(new Set(uuids.flat()).size).toBe(5);
  for (const session of [a, ...more]) await session.close();
});

test("the identifier of a restored one is that of its file, its memory and its WAL", async () => {
  const [, session] = restored;
  // The checkpoint writes what is in memory.
  await session.rows("checkpoint");
  expect(await session.rows(identifier)).toEqual([lastIdentifier]);
  expect(await session.rows("select pg_switch_wal() is not null")).toEqual(["t"]);
  await session.rows("create table written (x int)");
  const inWal = `select ('x' || string_agg(to_hex(get_byte(b, i)), '' order by i desc))::text from (select
    pg_read_binary_file('pg_wal/' || pg_walfile_name(pg_current_wal_insert_lsn()), 24, 8) b) f, generate_series(0, 7) i`;
  const own = [...BigInt(lastIdentifier).toString(16).padStart(16, "0").matchAll(/../g)].map(([byte]) =>
    Number.parseInt(byte!, 16).toString(16),
  );
  expect(await session.rows(inWal)).toEqual([`x${own.join("")}`]);
});

// The last one: it leaves the sessions with much memory, all of which is looked at whenever they are switched to.
test("what is done: recursion without an end", () =>
  expectEqualAnswers([
    "create function deep(i int) returns int language plpgsql as 'begin return deep(i + 1); end'",
    "select deep(1)",
    "drop function deep",
  ]));
