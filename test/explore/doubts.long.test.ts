/**
 * What `explore()` must never take for explored: statements that come by other messages than usual, actors that are not what they seem.
 *
 * @module-tag long
 */
import { finished } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import postgres from "postgres";
import { expect, test } from "vitest";
import { useJobs } from "./jobs.ts";

const { app, db, run, change } = useJobs();

test("a driver that asks about a statement before it runs it has the same orders as one that does not", async () => {
  const sql = postgres(db.url, { max: 4 });
  const locks = () =>
    sql.begin(async (transaction) => {
      await transaction`lock table jobs in access exclusive mode`;
      await transaction`update jobs set state = 'ann' where id = 1`;
    });
  const reads = async () => (await sql`select state, ${1}::int from jobs where id = 1`)[0]!.state;
  const found: unknown[] = [];
  for (let round = 0; round < 2; round++) {
    const { schedules, complete, failing } = await run(
      { ann: locks, bob: reads },
      { invariant: async (_, { bob }) => bob!.status === "fulfilled" && bob!.value !== "ann" },
    );
    found.push([schedules, failing.length, complete]);
  }
  await sql.end();
  expect(found).toEqual([
    [5, 3, true],
    [5, 3, true],
  ]);
});

test("a session that ends with its last statement takes nothing of another's along", async () => {
  const ends = async () => {
    const client = await app.pool.connect();
    client.on("error", () => {});
    try {
      await client.query("begin");
      await client.query("update jobs set state = 'ann' where id = 1");
      await client.query("select pg_terminate_backend(pg_backend_pid())");
    } finally {
      client.release(true);
    }
  };
  for (let round = 0; round < 3; round++) {
    const report = await run({ ann: ends, bob: () => change(1) });
    expect([report.failing, report.diverged, report.stopped]).toEqual([[], 0, undefined]);
    expect(Object.keys(report.outcomes)).toEqual([expect.stringMatching(/^ann .*terminated.*, bob ok$/)]);
  }
});

test("`sql` may be asked for several things at once", async () => {
  const report = await run(
    { ann: () => change(1) },
    {
      invariant: async (sql) => {
        const [one, two] = await Promise.all([sql`select 1 as n`, sql`select ${2}::int as n`]);
        return one[0]!.n === 1 && two[0]!.n === 2;
      },
    },
  );
  expect([report.schedules, report.failing.length, report.complete]).toEqual([1, 0, true]);
});

test("an actor that does two things at once is waited for as long as any other", async () => {
  const both = () =>
    Promise.all([
      (async () => {
        await app.query("select 'u'");
        // The actor is silent, and an exploration that does not wait goes on. The limit is a timer of the same loop: it ends later.
        await delay(40);
        await app.query("select 'late'");
      })(),
      app.query("select 'side'"),
    ]);
  const twice = async () => {
    await app.query("select 'b1'");
    await app.query("select 'b2'");
  };
  const report = await run({ ann: both, bob: twice }, { invariant: async () => false, silenceMs: 600 });
  const lanes = report.failing.map(({ steps }) => steps.map(({ actor, sql }) => `${actor} ${sql.slice(7)}`).join());
  // Two of bob's among three of ann's, whose side may be anywhere: 10 times 3.
  expect([report.schedules, new Set(lanes).size, report.complete]).toEqual([30, 30, true]);
});

test("what may be of an actor that was silent for too long is nobody's", async () => {
  // Ann is silent until Bob goes on: then both send.
  let [goOn, isOver] = [() => {}, false];
  const late = async () => {
    isOver = false;
    await app.query("select 'u'");
    if (!isOver)
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
    await app.query("select 'late'");
  };
  const leads = async () => {
    for (const n of [1, 2, 3]) {
      await app.query(`select 'b${n}'`);
      isOver = n === 3;
      goOn();
    }
  };
  const report = await run({ ann: late, bob: leads }, { invariant: async () => false, silenceMs: 40 });
  const steps = report.failing.flatMap((schedule) => schedule.steps);
  expect(steps.filter(({ actor, sql }) => (actor === "bob") !== /'b\d'/.test(sql))).toEqual([]);
  expect([report.complete, report.silences > 0, report.strays > 0]).toEqual([false, true, true]);
});

test("a replay that has not all of its decisions is not judged", async () => {
  const report = await run({ ann: () => change(1), bob: () => change(2) }, { replay: "ann bob ann bob" });
  expect([report.schedules, report.diverged]).toEqual([0, 1]);
});

test("an actor that never comes to the database is an error, not a complete exploration", async () => {
  const elsewhere = { ann: async () => 1, bob: () => change(1) };
  await expect(run(elsewhere)).rejects.toThrow(
    'the actor "ann" sent nothing to the database "postgres" in any schedule',
  );
  await expect(run({})).rejects.toThrow("explore needs an actor at least");
});

test("options that cannot be meant are said to be wrong", async () => {
  const actors = { ann: () => change(1) };
  for (const more of [
    { strategy: { random: 0 } },
    { schedules: 0 },
    { silenceMs: Number.NaN },
    { invariant: (async () => 0) as unknown as () => Promise<boolean> },
  ])
    await expect(run(actors, more)).rejects.toMatchObject({ name: "UsageError" });
  expect((await run(actors, { invariant: () => false })).failing).toHaveLength(1);
});

test("a wrong password is not a server without sessions", async () => {
  const url = db.url.replace("postgres:", "nosuchrole:").replace(/\/\/[^@]*@/, "//nosuchrole:x@");
  const actors = { ann: () => change(1) };
  await expect(run(actors, { db: { url } })).rejects.toMatchObject({ name: "DatabaseError", code: "28000" });
});

test("the data of a COPY are a step, however they are cut", async () => {
  const sql = postgres(db.url, { max: 4 });
  const copies = async () => {
    const stream = await sql`copy jobs from stdin`.writable();
    for (const line of ["7\tnew\n", "8\tnew\n"]) {
      stream.write(line);
      // The pieces come one by one.
      await delay(5);
    }
    stream.end();
    await finished(stream);
  };
  const found: string[] = [];
  const report = await run({ ann: copies, bob: () => change(7) }, { invariant: async () => false });
  for (const { steps } of report.failing) found.push(steps.map((step) => `${step.actor} ${step.sql}`).join("; "));
  await sql.end();
  const [copy, data] = ["ann copy jobs from stdin", "ann (data of a COPY)"];
  const bob = "bob update jobs set state = 'done' where id = $1";
  expect(found).toEqual([[copy, data, bob].join("; "), [copy, bob, data].join("; "), [bob, copy, data].join("; ")]);
  expect(report.complete).toBe(true);
});
