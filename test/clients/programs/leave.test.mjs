/**
 * A user's suite, again and again: start a database, query it through a pool, end the pool, close the database.
 *
 * Owns: the rounds; the same text for vitest, jest and node:test. Does not own: what counts as a failure: that is the
 * runner's exit code, and what `leave-monitor.mjs` sees. Environment: LEAVE_ROUNDS, LEAVE_DRIVER, LEAVE_SESSIONS, and
 * LEAVE_REPORT, a file that gets a line when a round begins and when it has ended.
 */
import { appendFileSync } from "node:fs";
import { drizzle } from "drizzle-orm/node-postgres";
import pg from "pg";
import * as product from "pglite-devdb";
import postgres from "postgres";

const { LEAVE_ROUNDS: rounds, LEAVE_DRIVER: driver, LEAVE_REPORT: report } = process.env;
const { closePostgres, startDevDb } = product;
const runner = "afterAll" in globalThis ? globalThis : await import("node:test");
const { describe, test } = runner;
const [beforeAll, afterAll] = [runner.beforeAll ?? runner.before, runner.afterAll ?? runner.after];

const drivers = {
  pg: (url) => {
    const pool = new pg.Pool({ connectionString: url });
    return { client: pool, query: () => pool.query("select 1") };
  },
  "postgres.js": (url) => {
    const sql = postgres(url, { onnotice: () => {} });
    return { client: sql, query: () => sql`select 1` };
  },
  drizzle: (url) => {
    const db = drizzle(url);
    return { client: db.$client, query: () => db.execute("select 1") };
  },
};

const ways = {
  "its end awaited": async (client, db) => {
    await client.end();
    await db.close();
  },
  "its end at the same tick": async (client, db) => {
    const ended = client.end();
    await db.close();
    await ended;
  },
  "closePostgres awaited": async (client, db) => {
    await closePostgres(client);
    await db.close();
  },
};

// Of the stand-in that keeps one.
afterAll(() => product.closeEngine?.());

for (let round = 1; round <= Number(rounds); round++) {
  const [way, leave] = Object.entries(ways)[round % 3];
  describe(`round ${round}, ${way}`, () => {
    let db;
    let pool;
    beforeAll(async () => {
      appendFileSync(report, `round ${round}\n`);
      db = await startDevDb({ port: 0, migrations: "none" });
      pool = drivers[driver](db.url);
    });
    test("queries", async () => {
      await Promise.all(Array.from({ length: 1 + (round % 4) }, () => pool.query()));
    });
    afterAll(async () => {
      await leave(pool.client, db);
      // An error that comes late is to be this round's.
      while (process.getActiveResourcesInfo().includes("TCPSocketWrap")) await new Promise(setImmediate);
      appendFileSync(report, `done ${round}\n`);
    });
  });
}
