/** A client that asks for an encoding, or has one, in which the server cannot answer it. What is expected is what PostgreSQL says where it lacks a conversion. */
import { describe, expect, test } from "vitest";
import { productServer } from "../support/product-server.ts";
import { errorFields, message, rows } from "../support/wire-client.ts";

const refused = ["latin9", "win1252", "win1251", "latin2", "koi8r", "euc_jp", "sjis", "gb18030", "big5", "uhc"];

describe("client encodings", () => {
  const server = productServer();

  test.each(refused)("SET client_encoding to %s is refused, and the client goes on in its own", async (name) => {
    const client = await server.login();
    const bystander = await server.login();
    await bystander.query("create table if not exists texts (x text)");
    for (const sql of [
      `set client_encoding to ${name}`,
      `do $$begin perform set_config('client_encoding', '${name}', false); end$$`,
    ]) {
      const fields = errorFields(await client.query(sql));
      expect(fields?.get("C")).toBe("0A000");
      expect(fields?.get("M")).toContain(name);
    }
    expect(rows(await client.query("select 'ä' || current_setting('client_encoding')"))).toEqual([["äUTF8"]]);
    expect(rows(await bystander.query("insert into texts values ('ä') returning x"))).toEqual([["ä"]]);
    expect(server.log).toEqual([]);
  });

  test.each(["utf8", "sql_ascii", "latin1"])("SET client_encoding to %s is accepted", async (name) => {
    const client = await server.login();
    expect(errorFields(await client.query(`set client_encoding to ${name}`))).toBeUndefined();
    expect(rows(await client.query("select 1"))).toEqual([["1"]]);
    await client.query("reset client_encoding");
  });
});

describe("a text that latin1 has no form for", () => {
  const server = productServer();

  test.each([
    "select chr(228)::int",
    "do $$begin raise exception '%', chr(228); end$$",
    "do $$begin raise exception using message = 'x', detail = chr(8364); end$$",
    "do $$begin raise warning '%', chr(8364); end$$",
  ])("is an error of its statement: %s", async (sql) => {
    const bystander = await server.login();
    await bystander.query("create table if not exists kept ()");
    const client = await server.login();
    await client.query("set client_encoding to 'latin1'");
    expect(errorFields(await client.query(sql))?.get("C")).toBe("0A000");
    expect(rows(await client.query("select 1"))).toEqual([["1"]]);
    await client.query("reset client_encoding");
    expect(rows(await bystander.query("select count(*) from kept"))).toEqual([["0"]]);
    expect(server.log).toEqual([]);
  });
});

describe("an error that comes back whenever the backend reports its status", () => {
  const server = productServer();

  test("ends that session only", async () => {
    const client = await server.login();
    const bystander = await server.login();
    await bystander.query("create table kept ()");
    await client.query("set client_encoding to 'latin1'");
    // The client is told each new search_path, which has no form in its encoding.
    client.send(message.query('set search_path to "ж"'));
    const errors = (await client.untilEnd()).filter(({ type }) => type === "E");
    expect(errors.length).toBeLessThan(10);
    expect(errorFields(errors.slice(-1))?.get("S")).toBe("FATAL");
    expect(rows(await bystander.query("select count(*) from kept"))).toEqual([["0"]]);
    const open = "select count(*) from pg_stat_activity where backend_type = 'client backend'";
    expect(rows(await (await server.login()).query(open))).toEqual([["2"]]);
  });
});
