/**
 * Messages that are well framed and meant to stop the engine: whatever one client says, the others are served.
 *
 * The server has a process of its own, because what fails here is one that hangs for good.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { encodeMessage } from "../../src/wire/frontend.ts";
import { ask, NO_ANSWER } from "../support/answer.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { within } from "../support/wait-until.ts";
import { message, WireClient } from "../support/wire-client.ts";

const { query, parse, bind, execute, sync, flush, close, copyData, copyDone } = message;
// A transaction that idles is ended after a while; so is a client that stops in the middle.
const options = { stallTimeout: 500, transactionIdleTimeout: 500 };

let server: ServerProcess | undefined;
let bystander: WireClient;
const clients: WireClient[] = [];

async function startOver(): Promise<void> {
  server = await startServerProcess(options);
  bystander = await WireClient.login(server);
  await bystander.query("create table if not exists t(n int)");
}

async function isServed(): Promise<boolean> {
  return (await ask(bystander, [query("select 'served'")], 5000)) === "served";
}

beforeAll(startOver);
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  // A case that stopped the server must not be the failure of the next one.
  if (await isServed()) return;
  await server?.stop();
  await startOver();
});
afterAll(() => server?.stop());

async function hostile(): Promise<WireClient> {
  const client = await WireClient.login(server!);
  clients.push(client);
  return client;
}

const cases: Record<string, Buffer[][]> = {
  "another message while COPY data is expected": [[query("copy t from stdin")], [copyData("1\n"), query("select 2")]],
  "every kind of message while COPY data is expected": [
    [query("copy t from stdin")],
    [parse("", "select 1"), bind("", ""), execute(""), close("S", ""), sync()],
  ],
  "another message in the segment of a COPY": [[query("copy t from stdin"), query("select 2"), copyDone()]],
  "a pipeline that begins a COPY and goes on without data": [
    [parse("", "copy t from stdin"), bind("", ""), execute(""), parse("", "select 1"), bind("", ""), sync()],
  ],
  "a Flush with a body": [[encodeMessage("H", "junk")]],
  "a Flush with a body in front of a Query": [[encodeMessage("H", "junk"), query("select 1")]],
  "a Sync with a body": [[encodeMessage("S", "junk")]],
  "messages without a body": ["P", "B", "D", "E", "C", "Q", "F", "d", "c", "f"].map((type) => [encodeMessage(type)]),
  "a function call that is cut short": [[encodeMessage("F", Buffer.alloc(6))]],
  "a COPY behind the end of a failed transaction, in one pipeline": [
    [query("begin"), query("select 1/0")],
    [parse("", "rollback"), bind("", ""), execute(""), parse("c", "copy t from stdin"), bind("", "c"), execute("")],
    [sync()],
  ],
  "a COPY in a string of several statements, hidden as well as it goes": [
    [query("set standard_conforming_strings to off")],
    [query("select '\\''; copy t from stdin; select ''")],
    [query("select 1; /* /* */ */ copy t from stdin")],
    [query("copy t from stdin; copy t from stdin")],
    [query(`copy U&"t" from stdin`)],
    [query("copy t from stdin\0 and more")],
  ],
  "two COPYs that look like one: behind an escape": [
    [query("copy t from stdin (null E'\\''); copy t from stdin; --'"), copyDone(), query("select 1")],
  ],
  "two COPYs that look like one: behind a dollar quote": [
    [query("copy t from stdin (null $$'$$); copy t from stdin; --'"), copyDone(), query("select 1")],
  ],
  "two COPYs that look like one: behind a comment": [
    [query("copy t from stdin -- '\n; copy t from stdin -- '"), copyDone(), query("select 1")],
  ],
  "a COPY in a function": [
    [query("do $$ begin execute 'copy t from stdin'; end $$")],
    [query("do $$ begin copy t from stdin; end $$")],
    [query("create function f() returns void language sql as 'copy t from stdin'")],
  ],
  "an error and no Sync": [[parse("", "selec"), flush()]],
  "a transaction that nobody ends": [[query("begin; lock table t")]],
  "a pipeline that nobody ends": [[parse("", "insert into t values (1)"), bind("", ""), execute(""), flush()]],
  "a Query in the middle of a pipeline": [
    [parse("", "select 1"), bind("", ""), execute(""), query("select 2"), sync()],
    [sync(), sync()],
  ],
};

test.each(Object.entries(cases))("%s stops nobody", async (_, batches) => {
  const client = await hostile();
  for (const batch of batches) {
    if (client.ended) break;
    client.send(...batch);
    // Not every message has an answer: what the server makes of it is not the question here.
    await within(100, client.received());
  }
  expect(await ask(bystander, [query("select 'served'")], 5000)).toBe("served");
  const pipeline = [parse("", "select 'served'"), bind("", ""), execute(""), sync()];
  expect(await ask(bystander, pipeline, 5000)).toBe("served");
  client.destroy();
  expect(await ask(bystander, [query("copy t to stdout")], 5000)).not.toBe(NO_ANSWER);
  expect(await ask(bystander, [query("select count(*) from t")], 5000)).toBe("0");
});
