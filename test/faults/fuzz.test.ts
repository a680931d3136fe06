/**
 * Two clients that say anything, well framed or nearly, beside one that must always be served.
 *
 * The server has a process of its own, because what fails here is one that hangs for good.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodeMessage } from "../../src/wire/frontend.ts";
import { ask } from "../support/answer.ts";
import { Random, runSeed } from "../support/random.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { within } from "../support/wait-until.ts";
import { message, WireClient } from "../support/wire-client.ts";

const rounds = Number(process.env.FUZZ_ROUNDS ?? 50);

const statements = [
  "select 1",
  "selec",
  "",
  "select 1/0",
  "begin",
  "commit",
  "rollback",
  "savepoint a",
  "rollback to a",
  "copy t from stdin",
  "copy t (n) from stdin (format csv)",
  "copy t to stdout",
  "copy t from stdin; select 1",
  "select 1; copy t from stdin",
  "create temp table tt(n int)",
  "copy tt from stdin",
  "lock table t",
  "deallocate all",
  "deallocate s1",
  "discard all",
  "reset all",
  "declare c cursor with hold for select 1",
  "fetch c",
  "close c",
  "listen x",
  "notify x",
  "set standard_conforming_strings to off",
  "set role nobody",
  "set statement_timeout to 1",
  "set transaction_timeout to 10",
  "select set_config('idle_in_transaction_session_timeout', '10', false)",
  "select pg_terminate_backend(pg_backend_pid())",
  "prepare p as select 1",
  "execute pglite_socket_1",
  "do $$ begin raise exception 'x'; end $$",
];
const names = ["", "s1", "s2", "pglite_socket_1", "p"];
const portals = ["", "p1", "c"];

let server: ServerProcess;
let bystander: WireClient;
beforeAll(async () => {
  server = await startServerProcess({ stallTimeout: 300, transactionIdleTimeout: 300 });
  bystander = await WireClient.login(server);
  await bystander.query("create table t(n int)");
});
afterAll(() => server.stop());

function anyMessage(random: Random): Buffer {
  const sql = random.of(statements);
  const name = random.of(names);
  const portal = random.of(portals);
  const kinds: (() => Buffer)[] = [
    () => message.query(sql),
    () => message.query(sql),
    () => message.parse(name, sql),
    () => message.parse(name, sql),
    () => message.bind(portal, name),
    () => message.bind(portal, name),
    () => message.execute(portal, random.below(2)),
    () => message.execute(portal),
    () => message.describe(random.of(["S", "P"]), random.of([name, portal])),
    () => message.close(random.of(["S", "P"]), random.of([name, portal])),
    () => message.sync(),
    () => message.flush(),
    () => message.copyData("1\n"),
    () => message.copyDone(),
    () => message.copyFail("no"),
    () => encodeMessage(random.of([..."PBEDCHSQFdcf"]), anyBytes(random, random.below(12))),
  ];
  const chosen = random.of(kinds)();
  if (!random.oneIn(25) || chosen.length < 6) return chosen;
  chosen[5 + random.below(chosen.length - 5)] = random.below(256);
  return chosen;
}

const anyBytes = (random: Random, length: number): Buffer =>
  Buffer.from(Array.from({ length }, () => random.below(256)));

test(`nothing that two clients say keeps a third one from being served (SEED=${runSeed})`, async () => {
  for (let round = 0; round < rounds; round++) {
    const random = new Random(runSeed + round);
    const story: string[] = [`round ${round}, alone with SEED=${runSeed + round}`];
    const clients = [await WireClient.login(server), await WireClient.login(server)];
    for (let left = 4 + random.below(6); left > 0; left--) {
      const which = random.below(2);
      const messages = Array.from({ length: 1 + random.below(7) }, () => anyMessage(random));
      if (random.oneIn(2)) messages.push(message.sync());
      story.push(`${which}: ${messages.map((bytes) => JSON.stringify(bytes.toString("latin1"))).join(" ")}`);
      if (!clients[which]!.ended) clients[which]!.send(...messages);
      if (random.oneIn(3)) await within(random.below(30), clients[which]!.received());
    }
    if (random.oneIn(2)) for (const client of clients) client.destroy();
    expect(await ask(bystander, [message.query("select 'served'")], 10_000), story.join("\n")).toBe("served");
    for (const client of clients) client.destroy();
  }
});
