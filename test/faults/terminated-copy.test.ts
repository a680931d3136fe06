/** `pg_terminate_backend` ends a session that waits for its client: for data of a COPY, or for the rest of a message. */
import { expect, test } from "vitest";
import { productServer } from "../support/product-server.ts";
import { waitUntil } from "../support/wait-until.ts";
import { errorFields, message, rows, types, type WireClient } from "../support/wire-client.ts";

const server = productServer();
const { query, parse, bind, execute, copyData } = message;

/** Has another client end the session, and resolves with what its own client is told. */
async function terminate(processId: number, client: WireClient): Promise<(string | undefined)[]> {
  const other = await server.login();
  expect(rows(await other.query(`select pg_terminate_backend(${processId}, 10000)`))).toEqual([["t"]]);
  const said = await client.untilEnd();
  expect(types(said)).toBe("E");
  const error = errorFields(said);
  const left = `select count(*) from pg_stat_activity where pid = ${processId}`;
  await waitUntil("its backend has gone", async () => rows(await other.query(left))[0]?.[0] === "0");
  return [error?.get("S"), error?.get("C")];
}

test.each([
  ["before any data", [query("copy kept from stdin")], []],
  ["in the middle of the data", [query("copy kept from stdin")], [copyData("1\n")]],
  ["in the middle of a row", [query("copy kept from stdin")], [copyData("1")]],
  ["in the extended protocol", [parse("", "copy kept from stdin"), bind("", ""), execute("")], [copyData("1\n")]],
  ["in a transaction", [query("begin; insert into kept values (7); copy kept from stdin")], [copyData("1\n")]],
])("a COPY that waits %s is ended", async (_, begin, data) => {
  const { client, processId } = await server.loginWithKey();
  await client.query("create table if not exists kept (n int)");
  client.send(...begin);
  await client.until("G");
  if (data.length > 0) client.send(...data);
  expect(await terminate(processId, client)).toEqual(["FATAL", "57P01"]);
  expect(rows(await (await server.login()).query("select count(*) from kept"))).toEqual([["0"]]);
});

test("a session that waits for the rest of a message is ended", async () => {
  const { client, processId } = await server.loginWithKey();
  await client.query("begin");
  client.send(query("select 1").subarray(0, 7));
  expect(await terminate(processId, client)).toEqual(["FATAL", "57P01"]);
});
