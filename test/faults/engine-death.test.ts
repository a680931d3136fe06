/**
 * The engine thread dies or does not listen any more: everybody is told at once, and a new one takes its place.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { executeSql } from "../../src/engine/execute-sql.ts";
import type { EngineOptions } from "../../src/engine/supervisor.ts";
import { Interrupts } from "../../src/engine/thread/interrupts.ts";
import { bothSessions, type ProductServer, productServer } from "../support/product-server.ts";
import { report } from "../support/report.ts";
import { errorFields, message, rows } from "../support/wire-client.ts";

// Mocked: no SQL is known that breaks this engine or makes it deaf. A statement whose cancel is never delivered is one.
const deaf: EngineOptions["stuckAfterMs"] = 300;
const { cancelQuery } = Interrupts.prototype;
afterEach(() => {
  Interrupts.prototype.cancelQuery = cancelQuery;
});

/** Starts a statement, cancels it in vain, and resolves when its client has been told of the engine's death. */
async function killEngine(server: ProductServer, before = "select 1"): Promise<ReadonlyMap<string, string>> {
  const { client, processId, secretKey } = await server.loginWithKey();
  await client.query(before);
  client.send(message.query("do $$begin loop end loop; end$$"));
  await server.running(processId);
  Interrupts.prototype.cancelQuery = () => {};
  await server.cancel(processId, secretKey);
  const error = errorFields(await client.untilEnd());
  Interrupts.prototype.cancelQuery = cancelQuery;
  return error!;
}

describe.each(bothSessions)("%s sessions", (sessions) => {
  describe("a database in memory", () => {
    const server = productServer({
      sessions,
      engine: {
        stuckAfterMs: deaf,
        restore: (fresh) => executeSql(fresh, "create table restored (n int); insert into restored values (7)"),
      },
    });

    test("whose engine is deaf (mocked) tells running, waiting and idle clients, and starts from its beginning", async () => {
      const idle = await server.login();
      await idle.query("create table lost (n int)");
      const waiting = await server.login();
      const killed = killEngine(server);
      await expect.poll(() => server.transport.stats().connections.some(({ state }) => state === "running")).toBe(true);
      waiting.send(message.query("select 1"));
      const error = await killed;
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
      expect(log).toContain("the engine died: Error: a statement went on for 300 ms after it was cancelled");
      expect(log).toContain('Query "do $$begin loop end loop; end$$"');
    });
  });

  describe("a durable database", () => {
    const directory = mkdtempSync(join(tmpdir(), "pglite-devdb-death-"));
    afterAll(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
    const path = join(directory, "db");
    mkdirSync(path);
    const server = productServer({ sessions, engine: { dataDir: path, stuckAfterMs: deaf } });

    test("whose engine is deaf (mocked) still has what was committed, and not what was not", async () => {
      const client = await server.login();
      await client.query("create table t (n int); insert into t values (1)");
      const error = await killEngine(server, "begin; insert into t values (2)");
      expect(error.get("D")).toContain("what was committed is still there");
      const next = await server.login();
      expect(rows(await next.query("select n from t"))).toEqual([["1"]]);
    });
  });

  describe("what has killed an engine is an error of its statement", () => {
    const server = productServer({ sessions });

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
      ["another one", "select convert_to('a', 'sjis')", sessions === "shared" ? "0A000" : "58P01"],
      ["COPY to a program", "copy (select 1) to program 'true'", "XX000"],
      ["COPY from a program", "copy pg_class from program 'true'", "XX000"],
      ["DROP of the database in use", "drop database postgres", "55006"],
    ])("%s", async (_, sql, code) => {
      const client = await server.login();
      const bystander = await server.login();
      await bystander.query("create table if not exists kept (n int)");
      client.send(message.query(sql));
      expect(errorFields(await client.until("E"))?.get("C")).toBe(code);
      const next = await client.next().catch(() => undefined);
      // A stack that may be parked can be full before PostgreSQL's own limit: then the session ends.
      if (code !== "54001" || sessions === "shared") expect(next?.type).toBe("Z");
      const after = next ? client : await server.login();
      expect(rows(await after.query("select 1"))).toEqual([["1"]]);
      expect(rows(await bystander.query("select count(*) from kept"))).toEqual([["0"]]);
      expect(server.log).toEqual([]);
    });

    test("a client whose encoding cannot be converted gets errors, and the others their answers", async () => {
      const client = await server.login();
      await client.query("set client_encoding to 'LATIN1'");
      expect(errorFields(await client.query("select 'ä'"))?.get("C")).toMatch(/^(0A000|22021)$/);
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
});
