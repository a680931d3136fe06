/**
 * System tables are as safe from a superuser's slip as in PostgreSQL 18, whose words these are.
 */
import { describe, expect, test } from "vitest";
import { productServer } from "../support/product-server.ts";
import { errorFields, rows } from "../support/wire-client.ts";

const refused: readonly (readonly [sql: string, code: string, message: string])[] = [
  ["create table pg_catalog.mine (n int)", "42501", 'permission denied to create "pg_catalog.mine"'],
  ["truncate pg_statistic", "42501", 'permission denied: "pg_statistic" is a system catalog'],
  ["alter table pg_class add column mine int", "42501", 'permission denied: "pg_class" is a system catalog'],
  ["drop table pg_depend", "42501", 'permission denied: "pg_depend" is a system catalog'],
  ["create index on pg_class (relkind)", "42501", 'permission denied: "pg_class" is a system catalog'],
  ["create schema pg_mine", "42939", 'unacceptable schema name "pg_mine"'],
];

describe("system tables", () => {
  const server = productServer();

  test.each(refused)("%s", async (sql, code, text) => {
    const client = await server.login();
    const error = errorFields(await client.query(sql));
    expect([error?.get("S"), error?.get("C"), error?.get("M")]).toEqual(["ERROR", code, text]);
  });

  test("can be changed by a superuser who says so, for as long as he says so", async () => {
    const client = await server.login();
    expect(rows(await client.query("show allow_system_table_mods"))).toEqual([["off"]]);
    await client.query("set allow_system_table_mods = on");
    expect(errorFields(await client.query("create table pg_catalog.mine (n int)"))).toBeUndefined();
    expect(errorFields(await client.query("drop table pg_catalog.mine"))).toBeUndefined();
    await client.query("reset allow_system_table_mods");
    expect(errorFields(await client.query("create table pg_catalog.mine (n int)"))?.get("C")).toBe("42501");
    await client.query("create role somebody; set role somebody");
    expect(errorFields(await client.query("set allow_system_table_mods = on"))?.get("C")).toBe("42501");
  });

  test("extensions are created nevertheless", async () => {
    const client = await server.login();
    await client.query("drop extension plpgsql");
    expect(errorFields(await client.query("create extension plpgsql"))).toBeUndefined();
    await client.query("do $$begin null; end$$");
  });
});
