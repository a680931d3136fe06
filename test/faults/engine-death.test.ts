/**
 * The engine thread dies: everybody is told at once, and a new one takes its place.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { executeSql } from "../../src/engine/execute-sql.ts";
import { killEngine } from "../support/killed-engine.ts";
import { productServer } from "../support/product-server.ts";
import { report } from "../support/report.ts";
import { errorFields, message, rows } from "../support/wire-client.ts";

describe("a database in memory", () => {
  const server = productServer({
    engine: {
      restore: (fresh) => executeSql(fresh, "create table restored (n int); insert into restored values (7)"),
    },
  });

  test("whose engine dies (mocked) tells running, waiting and idle clients, and starts from its beginning", async () => {
    const idle = await server.login();
    await idle.query("create table lost (n int)");
    const waiting = await server.login();
    const error = await killEngine(server, "select 1", () => waiting.send(message.query("select 1")));
    const began = performance.now();
    for (const client of [idle, waiting]) {
      expect(errorFields(await client.untilEnd())?.get("C")).toBe("57P02");
    }
    report(`the others were told ${(performance.now() - began).toFixed(1)} ms after the first`);
    expect(error.get("S")).toBe("FATAL");
    expect(error.get("C")).toBe("57P02");
    expect(error.get("D")).toContain("The database was in memory: it starts again from its migrations and seed.");
    const next = await server.login();
    expect(rows(await next.query("select n from restored"))).toEqual([["7"]]);
    expect(errorFields(await next.query("select * from lost"))?.get("C")).toBe("42P01");
    const log = server.log.join("\n");
    expect(log).toContain("the engine died: Error: it was told to");
    expect(log).toContain('Query "do $$begin loop end loop; end$$"');
  });
});

describe("a durable database", () => {
  const directory = mkdtempSync(join(tmpdir(), "pglite-devdb-death-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
  const path = join(directory, "db");
  mkdirSync(path);
  const server = productServer({ engine: { dataDir: path } });

  test("whose engine dies (mocked) still has what was committed, and not what was not", async () => {
    const client = await server.login();
    await client.query("create table t (n int); insert into t values (1)");
    const error = await killEngine(server, "begin; insert into t values (2)");
    expect(error.get("D")).toContain("what was committed is still there");
    const next = await server.login();
    expect(rows(await next.query("select n from t"))).toEqual([["1"]]);
  });
});

describe("a durable database that is a database no more", () => {
  const path = mkdtempSync(join(tmpdir(), "pglite-devdb-death-"));
  afterAll(() => rmSync(path, { recursive: true, force: true, maxRetries: 3 }));
  const server = productServer({ engine: { dataDir: path } });

  test("is not made again by a new engine (the death is mocked)", async () => {
    rmSync(join(path, "PG_VERSION"));
    await killEngine(server);
    await expect.poll(() => server.log.join("\n"), { timeout: 20_000 }).toContain(`${path} has lost its database`);
    expect(readdirSync(path)).not.toContain("PG_VERSION");
  });
});

describe("what has killed an engine is an error of its statement", () => {
  const server = productServer();

  test.each([
    [
      "endless recursion in PL/pgSQL",
      "create function f(i int) returns int language plpgsql as 'begin return f(i + 1); end'; select f(1)",
      "54001",
    ],
    [
      "endless recursion in SQL",
      "create function g(i int) returns int language sql as 'select g(i + 1)'; select g(1)",
      "54001",
    ],
    ["deep parentheses", `select ${"(".repeat(50_000)}1${")".repeat(50_000)}`, "42601"],
    ["a conversion that PGlite has no code for", "select convert_to('ä', 'latin1')", "0A000"],
    ["another one", "select convert_to('a', 'sjis')", "0A000"],
    ["COPY to a program", "copy (select 1) to program 'true'", "42501"],
    ["COPY from a program", "copy pg_class from program 'true'", "42501"],
    ["a list of the system's locales", "select pg_import_system_collations('public')", "42501"],
    ["DROP of the database in use", "drop database postgres", "55006"],
  ])("%s", async (_, sql, code) => {
    const client = await server.login();
    const bystander = await server.login();
    await bystander.query("create table if not exists kept (n int)");
    client.send(message.query(sql));
    expect(errorFields(await client.until("E"))?.get("C")).toBe(code);
    expect((await client.next()).type).toBe("Z");
    expect(rows(await client.query("select 1"))).toEqual([["1"]]);
    expect(rows(await bystander.query("select count(*) from kept"))).toEqual([["0"]]);
    expect(server.log).toEqual([]);
  });

  test("a client whose encoding cannot be converted gets errors, and the others their answers", async () => {
    const client = await server.login();
    const sql = "set client_encoding to 'LATIN1'; select chr(228)";
    expect(errorFields(await client.query(sql))?.get("C")).toBe("0A000");
    await client.query("reset client_encoding");
    expect(rows(await client.query("select 'ä'"))).toEqual([["ä"]]);
    expect(server.log).toEqual([]);
  });

  test("a message that no COPY expects ends that COPY, not the engine", async () => {
    const client = await server.login();
    await client.query("create table if not exists c (n int)");
    // The COPY is hidden from whoever looks for one before it runs.
    await client.query("create or replace procedure p() language plpgsql as $$begin copy c from stdin; end$$");
    expect(errorFields(await client.query("call p()"))?.get("C")).toMatch(/^(0A000|57014|08P01)$/);
    expect(rows(await client.query("select 1"))).toEqual([["1"]]);
  });
});
