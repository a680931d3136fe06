/** Files of the machine, which PostgreSQL cannot see here, are refused with advice; those of the data directory are there. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { servedDb } from "../support/dev-db.ts";
import { errorFields, message, rows, types } from "../support/wire-client.ts";

const directory = mkdtempSync(join(tmpdir(), "server-files-"));
afterAll(() => rmSync(directory, { recursive: true }));
const file = join(directory, "in.csv");
writeFileSync(file, "1\n");

const served = servedDb({ sessions: "isolated", extensions: ["file_fdw"] }, "create table t (n int)");

describe("a file of the machine is refused", () => {
  test.each([
    ["COPY TO", `copy t to '${join(directory, "out.csv")}'`],
    ["COPY FROM", `copy t from '${file}'`],
    ["COPY TO above the data directory", "copy (select 1) to '/pglite/data/../../tmp/out.csv'"],
    ["pg_read_file", `select pg_read_file('${file}')`],
    ["pg_read_file, if it may be missing", `select pg_read_file('${file}', true)`],
    ["pg_read_binary_file", `select pg_read_binary_file('${file}')`],
    ["pg_stat_file", `select pg_stat_file('${file}')`],
    ["pg_stat_file of a long path", `select pg_stat_file('/${"long/".repeat(60)}')`],
    ["pg_ls_dir", `select pg_ls_dir('${directory}')`],
    ["lo_import", `select lo_import('${file}')`],
    ["lo_export", `select lo_from_bytea(4711, 'x'); select lo_export(4711, '${join(directory, "out")}')`],
    [
      "file_fdw",
      `create extension file_fdw; create server files foreign data wrapper file_fdw;
       create foreign table f (n int) server files options (filename '${file}'); select * from f`,
    ],
  ])("by %s", async (_, sql) => {
    const client = await served.login();
    const error = errorFields(await client.query(`begin; ${sql}`));
    expect(error?.get("C")).toBe("0A000");
    expect(error?.get("M")).toMatch(/^cannot access file "\/.*": files outside the data directory/);
    expect(error?.get("H")).toContain("\\copy");
    await client.query("rollback");
    expect(rows(await client.query("select 1"))).toEqual([["1"]]);
  });
});

test("a file of the data directory is read and written", async () => {
  const client = await served.login();
  expect(types(await client.query("copy (select 7) to '/pglite/data/seven.csv'"))).toBe("CZ");
  expect(rows(await client.query("select pg_read_file('seven.csv')"))).toEqual([["7\n"]]);
  expect(types(await client.query("copy t from '/pglite/data/seven.csv'"))).toBe("CZ");
  expect(types(await client.query("copy t to '/dev/null'"))).toBe("CZ");
  expect(rows(await client.query("select count(*) > 0 from pg_ls_dir('.')"))).toEqual([["t"]]);
  expect(rows(await client.query("select size from pg_stat_file('/pglite/data/seven.csv')"))).toEqual([["2"]]);
  expect(rows(await client.query("select count(*) > 100 from pg_timezone_names"))).toEqual([["t"]]);
  expect(readFileSync(file, "utf8")).toBe("1\n");
});

test("a role that may not use the server's files has PostgreSQL's own error", async () => {
  const client = await served.login();
  await client.query("create role reader; grant select on t to reader; set role reader");
  expect(errorFields(await client.query("copy t to '/tmp/out.csv'"))?.get("C")).toBe("42501");
  client.send(message.query("copy t to stdout"));
  expect(types(await client.until("Z"))).toMatch(/^H/);
});
