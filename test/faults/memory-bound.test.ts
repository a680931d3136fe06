/**
 * The memory of a database in memory is bounded by what is in it: a short WAL, and files that give back what they do not need.
 *
 * Counted are the bytes of the files, not the process's memory, which garbage disturbs.
 */
import type { PGlite } from "@electric-sql/pglite";
import { beforeAll, describe, expect, test } from "vitest";
import type { FileContents } from "../../src/cluster/file-contents.ts";
import { openMemoryFiles } from "../../src/cluster/memory-files.ts";
import { openHost } from "../sessions/engine/support/open-host.ts";
import { SqlSession } from "../sessions/engine/support/sql-session.ts";
import { memoryInUse } from "../support/memory.ts";
import { productServer } from "../support/product-server.ts";
import { errorFields, rows, type WireClient } from "../support/wire-client.ts";

/** A megabyte of WAL and nothing else. */
const megabyte = "select pg_logical_emit_message(false, 'test', repeat('x', 1000000)) is null";
const walMegabytes = "select sum(size) / 1048576 from pg_ls_waldir()";

describe("a server in memory", () => {
  const server = productServer();

  async function ask(client: WireClient, sql: string): Promise<string | null | undefined> {
    const answer = await client.query(sql);
    expect(errorFields(answer)?.get("M")).toBeUndefined();
    return rows(answer)[0]?.[0];
  }

  test("the WAL stays short however much is written; its settings are the user's to change", {
    tags: "long",
  }, async () => {
    const client = await server.login();
    for (let n = 0; n < 200; n++) await ask(client, megabyte);
    expect(Number(await ask(client, walMegabytes))).toBeLessThanOrEqual(96);

    expect(await ask(client, "show max_wal_size")).toBe("64MB");
    await ask(client, "alter system set max_wal_size = '160MB'");
    await ask(client, "select pg_reload_conf()");
    await expect.poll(() => ask(client, "show max_wal_size")).toBe("160MB");
    for (let n = 0; n < 80; n++) await ask(client, megabyte);
    expect(Number(await ask(client, walMegabytes))).toBeGreaterThan(64);
    await ask(client, "alter system reset max_wal_size");
    await ask(client, "select pg_reload_conf()");
  });

  test("a checkpoint between two runs leaves a client's transaction, statements and settings alone", {
    tags: "long",
  }, async () => {
    const client = await server.login();
    await ask(client, "prepare mine as select 7; set search_path to pg_catalog; create temp table kept (n int)");
    await ask(client, "begin");
    for (let n = 0; n < 70; n++) await ask(client, megabyte);
    await ask(client, "insert into kept values (1)");
    await ask(client, "commit");
    for (let n = 0; n < 70; n++) await ask(client, megabyte);
    expect(Number(await ask(client, walMegabytes))).toBeLessThanOrEqual(96);
    expect(await ask(client, "execute mine")).toBe("7");
    expect(await ask(client, "show search_path")).toBe("pg_catalog");
    expect(await ask(client, "select n from kept")).toBe("1");
    expect(await ask(client, "select string_agg(name, ', ') from pg_prepared_statements")).toBe("mine");
  });
});

describe("files in memory", () => {
  let session: SqlSession;
  let open: (database: string) => Promise<SqlSession>;
  let contentsOf: (path: string) => FileContents;
  beforeAll(async () => {
    const files = await openMemoryFiles();
    let engine: PGlite | undefined;
    const { init } = files;
    files.init = (pglite, options) => {
      engine = pglite;
      return init.call(files, pglite, options);
    };
    const host = await openHost({ dataDir: "memory://", files, maxSessions: 10 });
    session = await SqlSession.open(host);
    open = (database) => SqlSession.open(host, { database });
    contentsOf = (path) => {
      const { node } = engine!.Module.FS.lookupPath(`/pglite/data/${path}`, {});
      return (node as unknown as { contents: FileContents }).contents;
    };
    return () => host.close();
  });

  test.each(["truncate t", "drop table t", "vacuum full t"])(
    "%s gives the memory of the file back at once",
    async (statement) => {
      await session.rows("create table t as select g, repeat('x', 1000) from generate_series(1, 10000) g");
      await session.rows("delete from t; checkpoint");
      const [path] = await session.rows("select pg_relation_filepath('t')");
      const contents = contentsOf(path!);
      expect(contents.takenBytes).toBeGreaterThan(10_000_000);
      await session.rows(statement);
      expect(contents.takenBytes).toBe(0);
      await session.rows("drop table if exists t");
    },
  );

  test("what is behind a file's end is zeros when it grows again", async () => {
    await session.rows("create table z as select g, repeat('z', 1000) from generate_series(1, 10000) g; checkpoint");
    const [path] = await session.rows("select pg_relation_filepath('z')");
    await session.rows("delete from z where g > 5");
    await session.rows("vacuum z");
    expect(await session.rows("select pg_relation_size('z')")).toEqual(["8192"]);
    await session.rows("insert into z select g, 'y' from generate_series(6, 30000) g; checkpoint");
    expect(await session.rows("select count(*), count(distinct g) from z")).toEqual(["30000|30000"]);
    const contents = contentsOf(path!);
    const { size } = contents;
    contents.resize(size + 100_000);
    const behind = Buffer.alloc(100_000, 1);
    expect(contents.read(behind, 0, behind.length, size)).toBe(behind.length);
    contents.resize(size);
    expect(behind.every((byte) => byte === 0)).toBe(true);
    await session.rows("drop table z; checkpoint");
  });

  test("databases that were made and dropped leave no memory behind", async () => {
    const round = async () => {
      await session.rows("create database gone");
      const inside = await open("gone");
      await inside.rows("create table t as select g, repeat('x', 1000) from generate_series(1, 5000) g");
      await inside.close();
      await session.rows("drop database gone");
    };
    // The WAL has its length, and what is cached is, from the second one on.
    for (let n = 0; n < 6; n++) await round();
    const before = memoryInUse();
    for (let n = 0; n < 6; n++) await round();
    const perDatabase = (memoryInUse() - before) / 6;
    // One takes 13 MB while it is there.
    expect(perDatabase).toBeLessThan(2_000_000);
  });
});
