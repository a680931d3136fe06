/**
 * PostgreSQL's own timeouts of a session: with its texts and codes, for the connection that they are over for.
 */
import { expect, test } from "vitest";
import { outline, productServer } from "../support/product-server.ts";
import { report } from "../support/report.ts";
import { errorFields, message, rows } from "../support/wire-client.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const server = productServer();

test.each([
  ["a wait", "select pg_sleep(100)"],
  ["a loop", "do $$begin loop end loop; end$$"],
  ["an aggregate", "select count(*) from generate_series(1, 1000000000)"],
])("statement_timeout ends %s, and the session goes on", async (_, sql) => {
  const client = await server.login();
  await client.query("set statement_timeout = '100ms'");
  const began = performance.now();
  const error = errorFields(await client.query(sql));
  report(`statement_timeout of 100 ms: the error came after ${(performance.now() - began).toFixed(0)} ms`);
  expect(error?.get("C")).toBe("57014");
  expect(error?.get("M")).toContain("statement timeout");
  // Not before its time, which is the input; no slow machine makes it less.
  expect(performance.now() - began).toBeGreaterThan(99);
  for (let i = 0; i < 5; i++) expect(rows(await client.query(`select ${i}`))).toEqual([[String(i)]]);
  await client.query("reset statement_timeout");
});

test("statement_timeout ends a COPY whose data comes late, row by row", async () => {
  const client = await server.login();
  await client.query("create temp table late (n int); set statement_timeout = '100ms'");
  client.send(message.query("copy late from stdin"));
  await client.until("G");
  await pause(300);
  client.send(message.copyData("1\n"), message.copyDone());
  expect(outline(await client.until("Z"))).toBe("E(57014)ZI");
  await client.query("set statement_timeout = 0");
  expect(rows(await client.query("select count(*) from late"))).toEqual([["0"]]);
});

test("statement_timeout aborts its transaction, as any error does", async () => {
  const client = await server.login();
  await client.query("begin; set local statement_timeout = '50ms'");
  expect(outline(await client.query("select pg_sleep(100)"))).toBe("TE(57014)ZE");
  expect(outline(await client.query("rollback"))).toBe("CZI");
  expect(rows(await client.query("show statement_timeout"))).toEqual([["0"]]);
});

test("a timeout that comes with the end of its statement does not end the next one", async () => {
  const client = await server.login();
  let timedOut = 0;
  for (let i = 0; i < 300; i++) {
    await client.query(`begin; set local statement_timeout = ${1 + (i % 8)}`);
    const answer = outline(await client.query(`select count(*) from generate_series(1, ${(i % 40) * 1000})`));
    // It was the transaction's, so it does not apply to what is sent after the error; to a COMMIT it might.
    const end = outline(await client.query(answer.includes("E") ? "rollback" : "set local statement_timeout = 0"));
    if (answer.includes("E")) {
      timedOut++;
      expect(end).toBe("CZI");
    } else await client.query("rollback");
  }
  report(`${timedOut} of 300 statements timed out`);
});

test("a hundred statements that time out leave no cancel behind", async () => {
  const client = await server.login();
  await client.query("set statement_timeout = '5ms'");
  for (let i = 0; i < 100; i++) {
    expect(outline(await client.query("select pg_sleep(100)"))).toContain("E(57014)");
    await client.query("set statement_timeout = 0");
    expect(rows(await client.query(`select ${i}`))).toEqual([[String(i)]]);
    await client.query("set statement_timeout = '5ms'");
  }
  await client.query("reset statement_timeout");
});

test.each([
  ["idle_in_transaction_session_timeout", "begin", "25P03"],
  ["transaction_timeout", "begin", "25P04"],
  ["idle_session_timeout", "select 1", "57P05"],
])("%s ends a connection that idles, and undoes what it had open", async (setting, before, code) => {
  const observer = await server.login();
  await observer.query("create table if not exists t (n int); truncate t");
  const client = await server.login();
  await client.query(`set ${setting} = '100ms'`);
  await client.query(before);
  if (before === "begin") await client.query("insert into t values (1)");
  const error = errorFields(await client.untilEnd());
  expect([error?.get("S"), error?.get("C")]).toEqual(["FATAL", code]);
  expect(rows(await observer.query(`reset ${setting}; select count(*) from t`))).toEqual([["0"]]);
});

test.each([
  ["waits", "select pg_sleep(100)"],
  ["computes", "do $$begin loop end loop; end$$"],
])("transaction_timeout ends a connection while its statement %s", async (_, sql) => {
  const client = await server.login();
  await client.query("set transaction_timeout = '100ms'");
  client.send(message.query("begin"), message.query(sql));
  await client.until("Z");
  const messages = await client.untilEnd();
  expect(errorFields(messages)?.get("C")).toBe("25P04");
  const other = await server.login();
  expect(rows(await other.query("reset transaction_timeout; select 1"))).toEqual([["1"]]);
});

test("a timeout that is set does not end a connection that goes on in time", async () => {
  const client = await server.login();
  // Several times as long as a busy machine may stand still.
  await client.query("set idle_in_transaction_session_timeout = '3s'; set idle_session_timeout = '3s'");
  await client.query("begin");
  for (let i = 0; i < 8; i++) {
    await pause(450);
    expect(rows(await client.query(`select ${i}`))).toEqual([[String(i)]]);
  }
  await client.query("commit");
  await client.query("reset idle_in_transaction_session_timeout; reset idle_session_timeout");
});
