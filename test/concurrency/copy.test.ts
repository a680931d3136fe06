/**
 * COPY … FROM STDIN of one client while others query.
 *
 * Owns: that its data may come as slowly as it likes, and holds up others only inside of a transaction.
 * Does not own: the forms of COPY and its errors (`copy-in.test.ts`). Invariant: every case copies into rows of its own.
 */
import { expect, it } from "vitest";
import { NO_ANSWER } from "../support/answer.ts";
import { caseServer } from "../support/case-server.ts";
import { unprepared } from "../support/pipelines.ts";
import { describeTargets } from "../support/servers.ts";
import { waitUntil } from "../support/wait-until.ts";
import { message } from "../support/wire-client.ts";

// How the stock library ends the one session that it has.
const BRICKED = "08006 / FATAL 08P01";
const copyIn = message.query("copy copied from stdin");
const valuesOf = (source: string) =>
  message.query(`select value from copied where source = '${source}' order by value`);
const line = (source: string, value: number) => message.copyData(`${source}\t${value}\n`);

describeTargets("COPY FROM STDIN on %s", (target) => {
  const server = caseServer(target, { schema: "create table copied (source text, value int)" });
  const queued = () => server.running.server.getStats().queuedQueries;

  it("whose data comes with the query does not stop the others", async () => {
    const [copier, other] = await server.clients("copier", "other");
    copier.send(copyIn, line("at once", 1), line("at once", 2), message.copyDone());
    const seen = [await server.hear(copier), await server.ask(other, valuesOf("at once"))];
    // From here on the stock library answers nobody.
    expect(seen).toEqual({ ours: ["COPY 2", "1; 2"], stock: [BRICKED, NO_ANSWER] }[target]);
  });

  it("whose data comes slowly does not hold up the others", async () => {
    const [copier, other] = await server.clients("copier", "other");
    copier.send(copyIn);
    await copier.until("G");
    const seen: string[] = [];
    for (const value of [1, 2, 3]) {
      copier.send(line("slowly", value));
      seen.push(await server.ask(other, ...unprepared("select $1::int", [`${value}`])));
    }
    seen.push(await server.ask(other, valuesOf("slowly")));
    copier.send(message.copyDone());
    seen.push(await server.hear(copier), await server.ask(other, valuesOf("slowly")));
    if (target === "ours") expect(seen).toEqual(["1", "2", "3", "SELECT 0", "COPY 3", "1; 2; 3"]);
    else expect(seen.filter((answer) => answer === NO_ANSWER)).toHaveLength(5);
  });

  it("by several clients at once gives each its own rows", async () => {
    const copiers = await server.clients("c1", "c2", "c3");
    for (const copier of copiers) copier.send(copyIn);
    const ready = () => copiers.every(({ unread }) => unread.some(({ type }) => type === "G"));
    if (target === "ours") await waitUntil("all have their CopyInResponse", ready);
    for (const value of [1, 2, 3]) {
      for (const [index, copier] of copiers.entries()) copier.send(line(`copier ${index}`, value));
    }
    for (const copier of copiers) copier.send(message.copyDone());
    const seen = await Promise.all(copiers.map((copier) => server.hear(copier)));
    expect(seen).toEqual({ ours: ["COPY 3", "COPY 3", "COPY 3"], stock: [BRICKED, NO_ANSWER, NO_ANSWER] }[target]);
    if (target === "stock") return;
    for (const [index, copier] of copiers.entries()) {
      expect(await server.ask(copier, valuesOf(`copier ${index}`))).toBe("1; 2; 3");
    }
  });

  it("inside of a transaction makes the others wait for its end, and they go on", async () => {
    const [copier, other] = await server.clients("copier", "other");
    await server.ask(copier, message.query("begin"));
    copier.send(copyIn);
    await copier.until("G");
    other.send(valuesOf("in a transaction"));
    await waitUntil("the other one is queued", () => queued() === 1);
    copier.send(line("in a transaction", 1), message.copyDone());
    const copied = await server.hear(copier);
    const waits = other.unread.length === 0;
    const seen = [copied, waits, await server.ask(copier, message.query("commit")), await server.hear(other)];
    expect(seen).toEqual(
      { ours: ["COPY 1", true, "COMMIT", "1"], stock: [BRICKED, true, "closed", NO_ANSWER] }[target],
    );
  });

  it("of a client that goes away copies nothing, and the others go on", async () => {
    const [copier, other] = await server.clients("copier", "other");
    copier.send(copyIn);
    await copier.until("G");
    copier.send(line("of the dead", 1));
    copier.destroy();
    const seen = [await server.ask(other, valuesOf("of the dead")), await server.ask(other, ...unprepared("select 1"))];
    expect(seen).toEqual({ ours: ["SELECT 0", "1"], stock: [NO_ANSWER, NO_ANSWER] }[target]);
  });

  it("in a transaction, of a client that goes away, leaves nothing of either, and who waited goes on", async () => {
    const [copier, other] = await server.clients("copier", "other");
    await server.ask(copier, message.query("begin; insert into copied values ('of the dead', 1)"));
    copier.send(copyIn);
    await copier.until("G");
    other.send(valuesOf("of the dead"));
    await waitUntil("the other one is queued", () => queued() === 1);
    copier.send(line("of the dead", 2));
    copier.destroy();
    expect(await server.hear(other)).toBe({ ours: "SELECT 0", stock: NO_ANSWER }[target]);
  });
});
