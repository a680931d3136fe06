/** `seedRandom`: what PostgreSQL draws repeats from start to start, for each session in the order in which they begin. */
import pg from "pg";
import { expect, test } from "vitest";
import { startDevDb, UsageError } from "../../src/index.ts";

const question = "select random(), gen_random_uuid(), (select array_agg(random()) from generate_series(1, 3))";

/** What two sessions draw, one after the other, and what a seed has drawn. */
async function drawn(seedRandom?: number, connections = 2): Promise<{ sessions: unknown[]; seeded: unknown }> {
  const db = await startDevDb({
    port: 0,
    migrations: "none",
    log: () => {},
    seedRandom,
    seed: async (url) => {
      const client = new pg.Client(url);
      await client.connect();
      await client.query("create table seeded as select gen_random_uuid() as id, random() as at");
      await client.end();
    },
  });
  const clients = Array.from({ length: connections }, () => new pg.Client(db.url));
  try {
    const sessions: unknown[] = [];
    for (const client of clients) {
      await client.connect();
      sessions.push((await client.query(question)).rows);
    }
    // What one draws is nothing to the other.
    for (const client of clients.toReversed()) sessions.push((await client.query(question)).rows);
    return { sessions, seeded: (await clients[0]!.query("select * from seeded")).rows };
  } finally {
    await Promise.all(clients.map((client) => client.end()));
    await db.close();
  }
}

test("the same seed draws the same, in sessions and in the seed; another one, and none, something else", {
  tags: "long",
}, async () => {
  const first = await drawn(42);
  expect(await drawn(42)).toEqual(first);
  const all = [...first.sessions, ...(await drawn(43)).sessions, ...(await drawn(undefined)).sessions].map((rows) =>
    JSON.stringify(rows),
  );
  expect(new Set(all).size).toBe(12);
});

test("it needs a database in memory, and a session for each connection", async () => {
  const inDirectory = startDevDb({ port: 0, seedRandom: 1, db: "data", log: () => {} });
  await expect(inDirectory).rejects.toThrow("seedRandom in the options: needs a database in memory; in data the UUIDs");
  await expect(startDevDb({ port: 0, seedRandom: 1, sessions: "shared", log: () => {} })).rejects.toThrow(UsageError);
});
