/** What is in a dump, and what it takes to write one. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { expect, onTestFinished, test } from "vitest";
import { type CliSettings, runCli, startCli, temporaryDirectory } from "../support/cli-process.ts";
import { waitUntil } from "../support/wait-until.ts";

const megabyte = 1e6;

async function startServer(args: readonly string[] = [], settings: CliSettings = {}) {
  const cli = startCli(["--port", "0", "-o", "json", "--migrations", "none", ...args], settings);
  const { url } = JSON.parse((await cli.line(/^.*\n/))[0]!);
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  onTestFinished(() => sql.end());
  return { url: url as string, sql };
}

async function dump(url: string): Promise<string> {
  const { code, stdout, stderr } = await runCli(["dump", url]);
  expect([code, stderr]).toEqual([0, ""]);
  return stdout;
}

test("a dump keeps values and bodies with \\restrict lines, and has the two of pg_dump", async () => {
  const { url, sql } = await startServer();
  const value = "one\n\\restrict two\n\\UNRESTRICT three\nfour";
  await sql`create table notes (note text)`;
  await sql`insert into notes values (${value})`;
  await sql.unsafe(`create function body() returns text language sql as $$ select '${value}' $$`);
  const text = await dump(url);
  expect(text).toContain(`('${value}')`);
  const [, key] = /^\\restrict (\w+)\n/m.exec(text) ?? [];
  expect(key).toBeDefined();
  expect(text.trimEnd().split("\n").at(-1)).toBe(`\\unrestrict ${key}`);
  const cwd = temporaryDirectory();
  writeFileSync(join(cwd, "dump.sql"), text);
  const { sql: other } = await startServer(["--seed", "dump.sql"], { cwd });
  expect(await other`select note, body() from notes`).toEqual([{ note: value, body: value }]);
});

test("a dump leaves out the column option that a server keeps for itself", async () => {
  const { url, sql } = await startServer();
  await sql`create table t (id int, v text)`;
  await sql`update pg_attribute set attoptions = '{pg_attver=2}' where attrelid = 't'::regclass and attname = 'id'`;
  await sql`update pg_attribute set attoptions = '{pg_attver=2,n_distinct=5}' where attrelid = 't'::regclass and attname = 'v'`;
  const text = await dump(url);
  expect(text).not.toContain("pg_attver");
  expect(text).toContain("ALTER COLUMN v SET (n_distinct=5)");
  expect(text).not.toContain("ALTER COLUMN id SET");
});

test("a dump has no compression method of a column", async () => {
  const { url, sql } = await startServer();
  await sql`create table t (v text compression pglz)`;
  expect(await dump(url)).not.toContain("COMPRESSION");
});

/** Makes tables t1, t2 …, each with an index, a sequence and a row. */
async function makeTables(sql: postgres.Sql, count: number): Promise<void> {
  for (let from = 1; from <= count; from += 50) {
    await sql.unsafe(`do $$ begin for i in ${from}..${from + 49} loop
      execute format('create table t%s (id serial primary key)', i); execute format('insert into t%s values (%s)', i, i); end loop; end $$`);
  }
}

test("a dump of many tables locks one at a time", async () => {
  const { url, sql } = await startServer(["--set", "max_locks_per_transaction=10", "--max-connections", "10"]);
  const count = 1000;
  await makeTables(sql, count);
  const { child, ended } = startCli(["dump", url]);
  child.stdout!.pause();
  const held = async () => {
    const [row] =
      await sql`select (select count(*) from pg_locks l where l.pid = a.pid)::int as locks from pg_stat_activity a
      where application_name = 'pglite-devdb' and state = 'idle in transaction' and clock_timestamp() - state_change > '500 ms'`;
    return row?.locks as number | undefined;
  };
  await waitUntil("the dump waits for its reader", async () => (await held()) !== undefined);
  expect(await held()).toBeLessThan(count / 2);
  child.stdout!.resume();
  const { code, stdout, stderr } = await ended;
  expect([stderr, code, stdout.match(/^INSERT INTO public\.t\d+ VALUES/gm)?.length]).toEqual(["", 0, count]);
});

test("a dump of many tables fails if one of them is truncated before its rows are read", async () => {
  const { url, sql } = await startServer(["--set", "max_locks_per_transaction=10", "--max-connections", "10"]);
  await makeTables(sql, 100);
  await sql`insert into t1 select generate_series(2, 200000)`;
  const { child, ended } = startCli(["dump", url]);
  child.stdout!.pause();
  await waitUntil("the dump waits for its reader", async () => {
    const rows = await sql`select from pg_stat_activity where application_name = 'pglite-devdb'
      and state = 'idle in transaction' and clock_timestamp() - state_change > '500 ms'`;
    return rows.length > 0;
  });
  await sql`truncate t99`;
  child.stdout!.resume();
  const { code, stderr } = await ended;
  expect(code).toBe(1);
  expect(stderr).toMatch(/dump: table public.t99 was truncated or rewritten while the database was dumped/);
});

test("a dump of 8,000 tables ends well", { tags: "long" }, async () => {
  const { url, sql } = await startServer();
  await makeTables(sql, 8000);
  expect((await dump(url)).match(/^INSERT INTO public\.t\d+ VALUES/gm)).toHaveLength(8000);
});

/** Reads a dump, and how much memory the process has had at most while it wrote. */
async function peakOf(url: string): Promise<{ bytes: number; peak: number }> {
  const { child, ended, pid } = startCli(["dump", url]);
  let bytes = 0;
  let peak = 0;
  child.stdout!.on("data", (text: string) => {
    bytes += text.length;
    try {
      peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) * 1024;
    } catch {
      // It has ended: what was read before is the highest.
    }
  });
  expect((await ended).code).toBe(0);
  return { bytes, peak };
}

test.skipIf(process.platform !== "linux")("a dump's memory does not grow with its rows", async () => {
  const { url, sql } = await startServer();
  await sql`create table small as select 1 as id`;
  const small = await peakOf(url);
  await sql`create table large as select repeat(md5(n::text), 100) v from generate_series(1, 20000) n`;
  const large = await peakOf(url);
  expect(large.bytes).toBeGreaterThan(60 * megabyte);
  // A copy of the dump as text alone would be as much.
  expect(large.peak - small.peak).toBeLessThan(large.bytes * 2);
});

test("a dump whose reader has gone ends without a word", async () => {
  const { url, sql } = await startServer();
  await sql`create table large as select repeat(md5(n::text), 100) v from generate_series(1, 5000) n`;
  const { child, ended, stdout } = startCli(["dump", url]);
  await waitUntil("the dump has begun", () => stdout().includes("PostgreSQL database dump"));
  child.stdout!.destroy();
  expect(await ended).toMatchObject({ code: 141, stderr: "" });
  await waitUntil("the dump's connection has ended", async () => {
    const [row] = await sql`select count(*)::int from pg_stat_activity where application_name = 'pglite-devdb'`;
    return row!.count === 0;
  });
});
