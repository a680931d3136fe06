/**
 * Clients that stop, or are slow, in the middle of something with their socket open.
 *
 * Owns: that the others wait for the stall timeout at most, and that the staller is told and undone.
 * Does not own: clients that idle in a transaction (`idle-in-transaction.test.ts`) or go away (`disconnect.test.ts`).
 * Invariant: the transaction idle timeout is far above what a case waits for, so that it cannot be what helps.
 */
import { expect, it } from "vitest";
import { NO_ANSWER } from "../support/answer.ts";
import { type CaseServer, caseServer } from "../support/case-server.ts";
import { unprepared } from "../support/pipelines.ts";
import { describeTargets } from "../support/servers.ts";
import { waitUntil } from "../support/wait-until.ts";
import { message, type WireClient } from "../support/wire-client.ts";

const stallTimeoutMs = 200;
const ownTransaction = "select now() = statement_timestamp()";
const schema = "create table kept (value int)";
const insert = (value: number) => unprepared(`insert into kept values (${value})`).slice(0, -1);
const countOf = (value: number) => message.query(`select count(*) from kept where value = ${value}`);

/** What the only client that is not answered has sent is queued or answered. */
const hasCome = (server: CaseServer, client: WireClient) =>
  waitUntil(
    "it is queued or answered",
    () => server.running.server.getStats().queuedQueries === 1 || client.unread.length > 0,
  );

/** PGlite's clock has milliseconds: within one, statement_timestamp() of a later statement equals the transaction's now(). */
function clockTick(): Promise<void> {
  const before = Date.now();
  return waitUntil("the clock ticks", () => Date.now() > before + 1);
}

describeTargets("a client that stalls on %s", (target) => {
  const server = caseServer(target, {
    stallTimeout: stallTimeoutMs,
    transactionIdleTimeout: 600_000,
    schema,
  });
  it.each([
    ["Parse", 1, "1", "second"],
    ["Bind", 2, "2", "second"],
    ["Execute", 3, "C", NO_ANSWER],
  ])(
    "after %s gets a FATAL error, and the others are answered in a transaction of their own",
    async (_, count, reply, secondOnStock) => {
      const [staller, first, second] = await server.clients("staller", "first", "second");
      staller.send(...insert(1).slice(0, count), message.flush());
      await staller.until(reply);
      await clockTick();
      first.send(message.query(ownTransaction));
      // What the stock library does depends on who of the two comes first.
      await hasCome(server, first);
      const others = [server.hear(first), server.ask(second, ...unprepared("select 'second'"))];
      const seen = [await server.hear(staller), ...(await Promise.all(others))];
      // The stock library runs the first query in the staller's transaction. After Execute this transaction becomes the
      // first client's for good, and nobody else is answered any more.
      expect(seen).toEqual({ ours: ["FATAL 57P05", "t", "second"], stock: [NO_ANSWER, "f", secondOnStock] }[target]);
    },
  );

  it("after Execute has committed nothing", async () => {
    const [staller, other] = await server.clients("staller", "other");
    staller.send(...insert(2), message.flush());
    await staller.until("C");
    await server.ask(other, message.query("select 1"));
    expect(await server.ask(other, countOf(2))).toBe({ ours: "0", stock: "1" }[target]);
  });

  it("after an error gets a FATAL error, and nobody's batch is skipped", async () => {
    const [staller, other] = await server.clients("staller", "other");
    staller.send(...unprepared("select 1/0").slice(0, -1), message.flush());
    await staller.until("E");
    const answer = server.ask(other, ...unprepared("select 'of the other'"));
    const seen = [await server.hear(staller), await answer];
    expect(seen).toEqual({ ours: ["FATAL 57P05", "of the other"], stock: [NO_ANSWER, ""] }[target]);
  });

  it("in the pipeline of a transaction gets a FATAL error, and its transaction is undone", async () => {
    const [staller, other] = await server.clients("staller", "other");
    await server.ask(staller, message.query("begin; insert into kept values (3)"));
    staller.send(message.parse("", "select 1"), message.flush());
    await staller.until("1");
    const answer = server.ask(other, countOf(3));
    const seen = [await server.hear(staller), await answer];
    expect(seen).toEqual({ ours: ["FATAL 57P05", "0"], stock: [NO_ANSWER, NO_ANSWER] }[target]);
  });

  it.each(["begin; insert into kept values (7)", "select 1"])(
    "in a COPY behind %s gets a FATAL error, and nothing is kept",
    async (before) => {
      const [staller, other] = await server.clients("staller", "other");
      await server.ask(staller, message.query(before));
      staller.send(message.query("copy kept from stdin"));
      await staller.until("G");
      staller.send(message.copyData("7\n"));
      const seen = [await server.ask(other, countOf(7)), await server.hear(staller)];
      expect(seen).toEqual({ ours: ["0", "FATAL 57P05"], stock: [NO_ANSWER, "08006 / FATAL 08P01"] }[target]);
    },
  );

  it("in a message gets a FATAL error", async () => {
    const [staller, other] = await server.clients("staller", "other");
    staller.send(message.query("select 'never'").subarray(0, 9));
    const seen = [await server.hear(staller), await server.ask(other, ...unprepared("select 1"))];
    expect(seen).toEqual({ ours: ["FATAL 57P05", "1"], stock: [NO_ANSWER, "1"] }[target]);
  });

  it.each([
    ["the answer to one message", 1, 20_000, "f"],
    ["the answers to many messages", 40, 1_000, NO_ANSWER],
  ])("by not reading %s of its pipeline does not hold up the others", async (_, count, rows, onStock) => {
    const [deaf, other] = await server.clients("deaf", "other");
    const long = unprepared(`select repeat('x', 1000) from generate_series(1, ${rows})`).slice(0, -1);
    deaf.socket.pause();
    deaf.send(...Array.from({ length: count }, () => long).flat(), message.flush());
    await waitUntil("it has an answer to read", () => deaf.socket.readableLength > 0);
    const seen = await server.ask(other, message.query(ownTransaction));
    // The stock library answers the other client in the transaction of the deaf one, or, where it takes several
    // messages without Sync for a transaction block, not at all.
    expect(seen).toBe({ ours: "t", stock: onStock }[target]);
  });
});

describeTargets("a client that is slow on %s", (target) => {
  const server = caseServer(target, { schema });

  it("between two messages keeps its pipeline together", async () => {
    const [slow, other] = await server.clients("slow", "other");
    slow.send(...insert(4), message.flush());
    await slow.until("C");
    other.send(countOf(4));
    await hasCome(server, other);
    const pipeline = await server.ask(slow, ...unprepared("select 1/0"));
    const seen = [pipeline, await server.hear(other), await server.ask(other, countOf(4))];
    // The stock library lets the other client see the row, takes the transaction away from the slow one, and stops.
    expect(seen).toEqual({ ours: ["22012", "0", "0"], stock: [NO_ANSWER, "1", "1"] }[target]);
  });

  it("in the middle of a message holds up nobody", async () => {
    const [slow, other] = await server.clients("slow", "other");
    const bytes = message.query("select 'whole'");
    slow.send(bytes.subarray(0, 9));
    const between = await server.ask(other, ...unprepared("select 1"));
    slow.send(bytes.subarray(9));
    // The stock library does this right: what it mixes up are whole messages.
    expect([between, await server.hear(slow)]).toEqual(["1", "whole"]);
  });
});
