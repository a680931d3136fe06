/**
 * Clients that go away in the middle of something, without a word.
 *
 * Owns: that the next client's batch is answered right, and that nothing of an unfinished transaction is kept.
 * Does not own: clients that stay and stop (`stall.test.ts`).
 */
import { expect, it } from "vitest";
import { caseServer } from "../support/case-server.ts";
import { prepare, unprepared } from "../support/pipelines.ts";
import { describeTargets } from "../support/servers.ts";
import { waitUntil } from "../support/wait-until.ts";
import { message } from "../support/wire-client.ts";

const insert = (value: number): string => `insert into kept values (${value})`;
const insertPipeline = (value: number) => unprepared(insert(value)).slice(0, -1);
const countOf = (value: number) => message.query(`select count(*) from kept where value = ${value}`);
// A statement that is the first of its transaction began when the transaction did.
const ownTransaction = "select now() = statement_timestamp()";

/** Whether the stock library fails hangs on the order of its callbacks: once is enough to show it. Ours is right every time. */
const attempts = { stock: 50, ours: 5 };

describeTargets("a client that disconnects on %s", (target) => {
  const server = caseServer(target, { schema: "create table kept (value int)" });
  const queued = () => server.running.server.getStats().queuedQueries;

  it.each([
    ["Parse", 1, "1"],
    ["Bind", 2, "2"],
    ["Execute", 3, "C"],
  ])("after %s, without Sync, leaves no open pipeline to the next client", async (_, count, lastReply) => {
    for (let attempt = 1; attempt <= attempts[target]; attempt++) {
      const [gone, next] = await server.clients("gone", "next");
      gone.send(...insertPipeline(0).slice(0, count), message.flush());
      await gone.until(lastReply);
      gone.destroy();
      const seen = [
        await server.ask(next, message.query(ownTransaction)),
        await server.ask(next, ...unprepared("select $1::int", ["7"])),
      ];
      if (target === "ours") expect(seen).toEqual(["t", "7"]);
      // On the stock library the next client's query runs in the transaction of the client that is gone.
      else if (seen[0] === "f") return;
    }
    expect(target, `not seen to fail in ${attempts.stock} attempts`).toBe("ours");
  });

  it("after Execute, without Sync, has committed nothing", async () => {
    const [gone, next] = await server.clients("gone", "next");
    gone.send(...insertPipeline(1), message.flush());
    await gone.until("C");
    gone.destroy();
    await server.ask(next, message.query("select 1"));
    expect(await server.ask(next, countOf(1))).toBe({ ours: "0", stock: "1" }[target]);
  });

  it("after Execute, with a Terminate instead of Sync, has committed nothing", async () => {
    const [gone, next] = await server.clients("gone", "next");
    gone.send(...insertPipeline(2), message.flush());
    await gone.until("C");
    gone.send(message.terminate());
    gone.socket.end();
    await server.ask(next, message.query("select 1"));
    expect(await server.ask(next, countOf(2))).toBe({ ours: "0", stock: "1" }[target]);
  });

  it("after an error, before Sync, does not make the server skip the next client's batch", async () => {
    const [gone, next] = await server.clients("gone", "next");
    gone.send(...unprepared("select 1/0").slice(0, -1), message.flush());
    await gone.until("E");
    gone.destroy();
    const seen = [
      await server.ask(next, ...unprepared("select 'first'")),
      await server.ask(next, ...unprepared("select 'second'")),
    ];
    expect(seen).toEqual({ ours: ["first", "second"], stock: ["", "second"] }[target]);
  });

  it.each(["select 1", "select 1/0"])("in a transaction, after %s, leaves nothing of it", async (last) => {
    const [gone, waiting] = await server.clients("gone", "waiting");
    await server.ask(gone, message.query(`begin; ${insert(3)}; create table of_the_dead ()`));
    await server.ask(gone, message.query(last));
    waiting.send(message.query("select count(*), to_regclass('of_the_dead') from kept where value = 3"));
    await waitUntil("the batch is queued", () => queued() === 1);
    gone.destroy();
    // The stock library does this right; the next case is where it does not.
    expect(await server.hear(waiting)).toBe("0|null");
    expect(await server.ask(waiting, message.query(ownTransaction))).toBe("t");
  });

  it("while its statement runs in a transaction, leaves nothing of it, and who waited goes on", async () => {
    const [gone, waiting] = await server.clients("gone", "waiting");
    gone.send(message.query(`begin; ${insert(8)}; do $$begin raise notice 'begun'; perform pg_sleep(0.2); end$$`));
    await gone.until("N");
    waiting.send(countOf(8));
    gone.destroy();
    expect(await server.hear(waiting)).toBe("0");
  });

  it("in a transaction, after an error and before Sync, leaves no failed transaction to the next client", async () => {
    const [gone, next] = await server.clients("gone", "next");
    await server.ask(gone, message.query(`begin; ${insert(4)}`));
    gone.send(...prepare("", "select nonsense").slice(0, -1), message.flush());
    await gone.until("E");
    gone.destroy();
    const seen = [await server.ask(next, countOf(4)), await server.ask(next, message.query(ownTransaction))];
    expect(seen).toEqual({ ours: ["0", "t"], stock: ["25P02", "25P02"] }[target]);
  });

  it("while it waits for another client's pipeline, does not undo that pipeline", async () => {
    const [holder, gone, next] = await server.clients("holder", "gone", "next");
    holder.send(...insertPipeline(5), message.flush());
    await holder.until("C");
    gone.send(message.query(insert(6)));
    await waitUntil("the batch is queued or has run", () => queued() === 1 || gone.unread.length > 0);
    gone.destroy();
    await waitUntil("nothing is queued", () => queued() === 0);
    const ended = await server.ask(holder, ...unprepared("select 'the end'"));
    const seen = [ended, await server.ask(next, countOf(5))];
    // On the stock library the holder's row is lost, although the holder was told that all is well.
    expect(seen).toEqual({ ours: ["the end", "1"], stock: ["the end", "0"] }[target]);
  });

  it("while it waits for a transaction, loses its place, and the one behind it goes on", async () => {
    const [holder, gone, next] = await server.clients("holder", "gone", "next");
    await server.ask(holder, message.query("begin"));
    gone.send(...unprepared(insert(7)));
    await waitUntil("the batch is queued", () => queued() === 1);
    next.send(countOf(7));
    await waitUntil("both batches are queued", () => queued() === 2);
    gone.destroy();
    await waitUntil("one batch is left", () => queued() === 1);
    // The stock library does this right: its queue holds nothing but the first message of a waiting client.
    expect(await server.ask(holder, message.query("commit"))).toBe("COMMIT");
    expect(await server.hear(next)).toBe("0");
  });
});
