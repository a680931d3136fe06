/** Locales that libc does not have here are refused, with PostgreSQL's own errors; the others work. */
import { describe, expect, test } from "vitest";
import { servedDb } from "../support/dev-db.ts";
import { errorFields, rows, types } from "../support/wire-client.ts";

const served = servedDb({ sessions: "isolated" }, "");

describe("a locale that is not there is refused", () => {
  test.each([
    ["by CREATE DATABASE", "create database k locale 'klingon_QQ.UTF-8' template template0", "42809"],
    ["by CREATE DATABASE for a category", "create database k lc_ctype 'en_US.UTF-8' template template0", "42809"],
    ["by CREATE COLLATION", "create collation k (locale = 'de_DE.UTF-8')", "22023"],
    ["by CREATE COLLATION for a category", "create collation k (lc_collate = 'C', lc_ctype = 'de_DE')", "22023"],
    ["by SET lc_monetary", "set lc_monetary = 'de_DE.UTF-8'", "22023"],
    ["by SET lc_time", "set lc_time = 'klingon'", "22023"],
    ["by SET lc_numeric", "set lc_numeric = 'en_US'", "22023"],
  ])("%s", async (_, sql, code) => {
    const client = await served.login();
    const error = errorFields(await client.query(sql));
    expect([error?.get("C"), error?.get("M")]).toEqual([code, expect.stringMatching(/'?"(klingon|en_US|de_DE|lc_)/)]);
  });

  test("and a locale of ICU is meant by ICU's option", async () => {
    const client = await served.login();
    const sql = "create database k locale 'en-US' locale_provider icu template template0";
    const error = errorFields(await client.query(sql));
    expect([error?.get("C"), error?.get("H")]).toEqual(["42809", expect.stringContaining("ICU_LOCALE")]);
  });
});

test("the locales that are there are taken", async () => {
  const client = await served.login();
  for (const [at, name] of ["C", "POSIX", "C.UTF-8", "C.utf8"].entries()) {
    expect(
      types(await client.query(`create database there${at} locale '${name}' locale_provider libc template template0`)),
    ).toBe("CZ");
    expect(types(await client.query(`create collation there${at} (locale = '${name}')`))).toBe("CZ");
    expect(rows(await client.query(`select 'Z' < 'a' collate there${at}`))).toEqual([["t"]]);
    await client.query(`set lc_monetary = '${name}'`);
    expect(rows(await client.query("show lc_monetary"))).toEqual([[name]]);
  }
  expect(rows(await client.query("select to_char(now(), 'TMMonth') <> '', 12::money::text"))).toEqual([
    ["t", "$12.00"],
  ]);
});
