/**
 * Much in both directions at once: large answers on their way to a client that sends large messages behind its statements.
 *
 * Owns: that both ends finish, and that a cancel gets through. Does not own: random sizes and moments (`flow.test.ts`).
 */
import postgres from "postgres";
import { describe, expect, test } from "vitest";
import { answer, servedDb } from "../support/dev-db.ts";
import { Random, runSeed } from "../support/random.ts";
import { waitUntil } from "../support/wait-until.ts";
import { message, rows } from "../support/wire-client.ts";

const megabyte = 1 << 20;
const { query } = message;

describe("what goes both ways", () => {
  const served = servedDb();

  test("a message of 4 MB behind a result of 5 MB, in one write", async () => {
    const client = await served.login();
    client.send(
      query("select repeat('x', 1000) from generate_series(1, 5000)"),
      query(`select length('${"y".repeat(4 * megabyte)}')`),
    );
    expect(rows(await client.until("Z"))).toHaveLength(5000);
    expect(await answer(client)).toBe(`${4 * megabyte}`);
  });

  test(`five clients that do so side by side, at random sizes (SEED=${runSeed})`, async () => {
    const random = new Random(runSeed);
    const talk = async (): Promise<void> => {
      const sql = postgres(served.db.url, { max: 1 });
      for (let round = 0; round < 2; round++) {
        const sizes = Array.from({ length: 4 }, () => random.below(3 * megabyte));
        const answers = await Promise.all(
          sizes.map((size, at) =>
            at % 2 === 0 ? sql`select repeat('x', ${size}) as x` : sql`select length(${"y".repeat(size)})`,
          ),
        );
        expect(answers.map(([row]) => row?.length ?? row?.x.length)).toEqual(sizes);
      }
      await sql.end();
    };
    await Promise.all(Array.from({ length: 5 }, talk));
  });
});

describe("a cancel", () => {
  const served = servedDb({}, "create table t (n int); insert into t values (1)");

  test("reaches a statement that waits, although a message of 8 MB is behind it", async () => {
    const holder = await served.login();
    const observer = await served.login();
    const waiter = await served.keyed({ application_name: "waiter" });
    await holder.query("begin; update t set n = 2");
    waiter.client.send(query("update t set n = 3"), query(`select length('${"y".repeat(8 * megabyte)}')`));
    const waits = "select 1 from pg_stat_activity where application_name = 'waiter' and wait_event_type = 'Lock'";
    await waitUntil("it waits for the lock", async () => rows(await observer.query(waits)).length === 1);
    await served.cancel(waiter);
    expect(await answer(waiter.client)).toBe("57014");
    expect(await answer(waiter.client)).toBe(`${8 * megabyte}`);
    holder.send(query("commit"));
    expect(await answer(holder)).toBe("COMMIT");
  });
});
