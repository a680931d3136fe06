/** `test.explore` of `pglite-devdb/vitest`, and with what it fails. */
import { startDevDb } from "pglite-devdb";
import { test as tests } from "pglite-devdb/vitest";
import { afterAll, expect, test } from "vitest";
import type { ExploreReport } from "../../src/explore/index.ts";
import { failureOf } from "../../src/explore/verdict.ts";
import { Application } from "./actors.ts";

const db = await startDevDb({ port: 0, migrations: "none" });
const app = new Application(db.url);
await app.pool.query("create table accounts (id int primary key, amount int); insert into accounts values (1, 0)");

afterAll(async () => {
  await app.pool.end();
  await db.close();
});

const add = () => app.query("update accounts set amount = amount + 1 where id = 1");

tests.explore("every addition counts", {
  db,
  actors: { ann: add, bob: add },
  invariant: async (sql) => (await sql`select amount from accounts`)[0]!.amount === 2,
});

tests.explore("options may come late", async () => ({
  db,
  actors: { ann: add },
  invariant: (_, { ann }) => {
    expect(ann!.status).toBe("fulfilled");
  },
}));

const clean: ExploreReport = {
  schedules: 2,
  orders: 6,
  complete: true,
  failing: [],
  outcomes: {},
  failed: {},
  codes: {},
  silences: 0,
  strays: 0,
  diverged: 0,
};

test("a schedule that fails is the message, and so is what is in doubt", () => {
  expect(failureOf(clean, {})).toBe(undefined);
  const schedule = { steps: [], results: {}, failure: "x", decisions: "ann bob", table: "✗ x\nthe table" };
  expect(failureOf({ ...clean, failing: [schedule] }, {})).toBe(
    '1 of 2 schedules fails (6 orders of the statements); the first of them:\n✗ x\nthe table\nreplay: "ann bob"',
  );
  const broken = { ...clean, complete: false, failed: { ann: "42601 syntax error" } };
  expect(failureOf(broken, {})).toMatch(/^the actor "ann" failed in every schedule: 42601 syntax error\n/);
  const doubt = "2 schedules pass (6 orders of the statements), but not every one was run, or is sure: ";
  const strays = { ...clean, complete: false, strays: 3 };
  expect(failureOf(strays, {})).toBe(`${doubt}3 strays, statements of which it is not known who sent them`);
  expect(failureOf(strays, { schedules: 2 })).toContain("3 strays");
  const stopped = { ...clean, complete: false, stopped: "2 schedules were run" };
  expect(failureOf(stopped, {})).toBe(`${doubt}it stopped: 2 schedules were run`);
  expect(failureOf(stopped, { schedules: 2 })).toBe(undefined);
  expect(failureOf({ ...clean, complete: false }, { strategy: { random: 2 } })).toBe(undefined);
});
