/** The portal of a statement that has failed in a transaction: its plan is gone, and whoever asks for it is refused. */
import { describe, expect, test } from "vitest";
import { productServer } from "../support/product-server.ts";
import { errorFields, message, rows, types } from "../support/wire-client.ts";

const { query, copyData, copyDone, execute, describe: describes, sync } = message;

/** What comes between takes the plan's place in PostgreSQL's memory; how much of it depends on its length. */
const lengths = [10, 100, 300, 1000, 3000, 10_000, 100_000];

describe("the portal of a failed statement", () => {
  const server = productServer();

  test.each(lengths)("is refused behind a query of %i bytes, and nobody dies", async (length) => {
    const bystander = await server.login();
    await bystander.query("create table if not exists t (n int); truncate t; insert into t values (1)");
    const client = await server.login();
    await client.query("begin");
    client.send(query("copy t from stdin"), copyData("12345\n".repeat(length)), copyData("x\n"), copyDone());
    expect(errorFields(await client.until("Z"))?.get("C")).toBe("22P02");
    await client.query(`select '${"x".repeat(length)}'`);
    for (const ask of [execute("", 3), execute("", 0), describes("P", "")]) {
      client.send(ask, sync());
      const answer = await client.until("Z");
      // As PostgreSQL 18 says it, which has nothing to describe for a COPY.
      if (ask[0] === "D".charCodeAt(0)) expect(types(answer)).toBe("nZ");
      else expect(errorFields(answer)?.get("C")).toBe("25P02");
    }
    await client.query("rollback");
    expect(rows(await client.query("select count(*) from t"))).toEqual([["1"]]);
  });
});
