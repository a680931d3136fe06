/**
 * A transaction that idles while another connection waits for the engine.
 *
 * Owns: that the wait ends with an error, and that nothing happens where nobody waits.
 * Does not own: clients that stop inside of a pipeline (`stall.test.ts`).
 */
import { expect, it } from "vitest";
import { NO_ANSWER } from "../support/answer.ts";
import { caseServer } from "../support/case-server.ts";
import { prepare, unprepared } from "../support/pipelines.ts";
import { describeTargets } from "../support/servers.ts";
import { waitUntil } from "../support/wait-until.ts";
import { message } from "../support/wire-client.ts";

const transactionIdleTimeoutMs = 250;

describeTargets("a client that idles in a transaction on %s", (target) => {
  const server = caseServer(target, {
    transactionIdleTimeout: transactionIdleTimeoutMs,
    schema: "create table jobs (id int)",
  });

  const queued = () => server.running.server.getStats().queuedQueries;

  it("gets an error once another connection waits for it, and the other goes on", async () => {
    const [worker, api] = await server.clients("worker", "api");
    await server.ask(worker, message.query("begin; insert into jobs values (1)"));
    const waiting = server.ask(api, ...unprepared("select count(*) from jobs where id = 1"));
    const seen = [await server.hear(worker), await waiting];
    // On the stock library an application that waits for a second connection waits for ever.
    expect(seen).toEqual({ ours: ["FATAL 25P03", "0"], stock: [NO_ANSWER, NO_ANSWER] }[target]);
  });

  it("gets it also in a failed transaction, and all who waited go on in their order", async () => {
    const [worker, first, second] = await server.clients("worker", "first", "second");
    await server.ask(worker, message.query("begin; select 1/0"));
    first.send(message.query("insert into jobs values (3)"));
    second.send(message.query("select count(*) from jobs where id = 3"));
    const seen = [await server.hear(worker), await server.hear(first), await server.hear(second)];
    const stuck = [NO_ANSWER, NO_ANSWER, NO_ANSWER];
    expect(seen).toEqual({ ours: ["FATAL 25P03", "INSERT 0 1", "1"], stock: stuck }[target]);
  });

  it("gets it also when what waits is more than one batch of a connection, the second one only a Parse", async () => {
    const [worker, api] = await server.clients("worker", "api");
    await server.ask(worker, message.query("begin"));
    api.send(message.query("select 'first'"));
    await waitUntil("the first batch is queued", () => queued() === 1);
    api.send(...prepare("second", "select 'second'"));
    await waitUntil(
      "both batches are queued or one is blocked",
      () => worker.ended || queued() === (target === "ours" ? 2 : 1),
    );
    const seen = [await server.hear(worker), await server.hear(api), await server.hear(api)];
    expect(seen).toEqual({ ours: ["FATAL 25P03", "first", ""], stock: [NO_ANSWER, NO_ANSWER, NO_ANSWER] }[target]);
  });

  it("loses it also when it does not read its answers", async () => {
    const [deaf, other] = await server.clients("deaf", "other");
    await server.ask(deaf, message.query("begin; insert into jobs values (5)"));
    deaf.socket.pause();
    const long = message.query("select repeat('x', 1000000) from generate_series(1, 30)");
    deaf.send(long, long);
    await waitUntil("it has an answer to read", () => deaf.socket.readableLength > 0);
    const count = await server.ask(other, message.query("select count(*) from jobs where id = 5"));
    expect(count).toBe({ ours: "0", stock: NO_ANSWER }[target]);
  });

  it("an application that needs a second connection inside of a transaction ends, and can begin again", async () => {
    const outcomes = [];
    for (const attempt of [1, 2]) {
      const [outer, inner] = await server.clients(`outer ${attempt}`, `inner ${attempt}`);
      await server.ask(outer, message.query(`begin; insert into jobs values (${attempt * 10})`));
      outcomes.push(await server.ask(inner, message.query(`insert into jobs values (${attempt * 10 + 1})`)));
      outcomes.push(await server.ask(outer, message.query("commit")));
      if (target === "stock") break;
    }
    const [reader] = target === "ours" ? await server.clients("reader") : [];
    if (reader)
      outcomes.push(await server.ask(reader, message.query("select id from jobs where id >= 10 order by id")));
    expect(outcomes).toEqual(
      {
        ours: ["INSERT 0 1", "FATAL 25P03", "INSERT 0 1", "FATAL 25P03", "11; 21"],
        stock: [NO_ANSWER, "COMMIT"],
      }[target],
    );
  });
});

describeTargets("a client that pauses in a transaction on %s", (target) => {
  const server = caseServer(target, { transactionIdleTimeout: 600, schema: "create table jobs (id int)" });
  // What passes is what is tested here: there is no condition to wait for.
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  it("is left in peace while nobody waits, and while it goes on working although others wait", async () => {
    const [worker, api] = await server.clients("worker", "api");
    await server.ask(worker, message.query("begin; insert into jobs values (4)"));
    await pause(800);
    api.send(message.query("select count(*) from jobs where id = 4"));
    const steps = [];
    for (let step = 0; step < 9; step++) {
      await pause(100);
      steps.push(await server.ask(worker, message.query(`select ${step}`)));
    }
    const seen = [steps.join(" "), await server.ask(worker, message.query("commit")), await server.hear(api)];
    // The stock library does this right, as it has no limit at all.
    expect(seen).toEqual(["0 1 2 3 4 5 6 7 8", "COMMIT", "1"]);
  });
});
