/**
 * Clients that connect again at once when they are refused, with the library's own connection limit.
 *
 * Owns: that nobody is refused below the limit, that sockets do not pile up, and that a refusal above it is a message.
 * Does not own: the validation of the limit. Invariant: a case ends after a number of refusals, not after a time.
 */
import { expect, it } from "vitest";
import { hear } from "../support/answer.ts";
import { caseServer } from "../support/case-server.ts";
import { unprepared } from "../support/pipelines.ts";
import { describeTargets } from "../support/servers.ts";
import { waitUntil } from "../support/wait-until.ts";
import { message, WireClient } from "../support/wire-client.ts";

/** So many refusals are a storm, and end it. */
const stormOfRefusals = 200;
const ourLimit = 100;

describeTargets("clients that reconnect at once on %s", (target) => {
  const server = caseServer(target, { ownConnectionLimit: true });
  const open = () => server.running.server.getStats().activeConnections;

  /** A connection and the answer to its login: empty if it was let in. */
  async function tryLogin(): Promise<{ client: WireClient; answer: string }> {
    const client = await WireClient.connect(server.running);
    client.send(message.startup({ user: "postgres", database: "postgres" }));
    return { client, answer: await hear(client, server.limitMs) };
  }

  /** Connects until it is let in, or until all clients together have been refused often enough. */
  async function insist(refusals: string[]): Promise<WireClient | undefined> {
    while (refusals.length < stormOfRefusals) {
      const { client, answer } = await tryLogin();
      if (answer === "") return client;
      client.destroy();
      refusals.push(answer);
    }
    return undefined;
  }

  it("and keep their connection are all let in and served", async () => {
    const refusals: string[] = [];
    const clients = await Promise.all([1, 2, 3].map(() => insist(refusals)));
    const answers: string[] = [];
    for (const client of clients) {
      if (client) answers.push(await server.ask(client, ...unprepared("select 'served'")));
    }
    const seen = { answers, refusals: refusals.length };
    for (const client of clients) client?.destroy();
    // The stock library lets one client in at a time; the others connect and are cut off, over and over.
    expect(seen).toEqual(
      {
        ours: { answers: ["served", "served", "served"], refusals: 0 },
        stock: { answers: ["served"], refusals: expect.toSatisfy((count: number) => count >= stormOfRefusals) },
      }[target],
    );
  });

  it("and do not wait for the end of a connection are never refused, and leave no socket", async () => {
    const refusals: string[] = [];
    let most = 0;
    const wrong: string[] = [];
    await Promise.all(
      [1, 2, 3, 4, 5, 6].map(async (number) => {
        for (let session = 0; session < 15; session++) {
          const client = await insist(refusals);
          if (!client) return;
          const value = `${number}|${session}`;
          const answer = await server.ask(client, ...unprepared("select $1::int, $2::int", value.split("|")));
          if (answer !== value) wrong.push(answer);
          most = Math.max(most, open());
          client.destroy();
        }
      }),
    );
    await waitUntil("all places are free", () => open() === 0);
    if (target === "ours") expect({ refusals, wrong }).toEqual({ refusals: [], wrong: [] });
    else expect(refusals.length).toBeGreaterThan(6 * 15);
    expect(most).toBeLessThan(ourLimit);
  });

  it("are told when the limit is reached, and are let in once a place is free", async () => {
    const limit = server.running.server.getStats().maxConnections;
    const clients: WireClient[] = [];
    for (let count = 0; count < limit; count++) {
      const { client, answer } = await tryLogin();
      expect(answer).toBe("");
      clients.push(client);
    }
    const refused = await tryLogin();
    clients.pop()!.destroy();
    await waitUntil("a place is free", () => open() < limit);
    const late = await tryLogin();
    const seen = [limit, refused.answer, late.answer, await server.ask(late.client, message.query("select 1"))];
    for (const client of [...clients, refused.client, late.client]) client.destroy();
    expect(seen).toEqual({ ours: [ourLimit, "FATAL 53300", "", "1"], stock: [1, "closed", "", "1"] }[target]);
  });
});
