/** `select pglite_devdb.set_time(…)` and its siblings, from drivers that speak the protocol in different ways. */
import pg from "pg";
import postgres from "postgres";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { int16 } from "../../src/wire/frames.ts";
import { encodeMessage } from "../../src/wire/frontend.ts";
import { errorFields, message, rows, types, WireClient } from "../support/wire-client.ts";

let db: DevDb;
beforeAll(async () => {
  db = await startDevDb({ port: 0, migrations: "none", log: () => {} });
  return () => db.close();
});

async function connect(url = db.url, config: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, ...config });
  client.on("error", () => {});
  await client.connect();
  onTestFinished(() => client.end().catch(() => {}));
  return client;
}

const year = async (client: pg.Client) =>
  (await client.query("select extract(year from now())::int as year")).rows[0].year;
const failure = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: pg.DatabaseError) => error,
  );

describe("the time", () => {
  test("by the simple protocol", async () => {
    const client = await connect();
    await client.query("set time zone 'Asia/Tokyo'");
    const set = await client.query("select pglite_devdb.set_time('2030-01-01 08:59');");
    expect(set).toMatchObject({
      command: "SELECT",
      rowCount: 1,
      rows: [{ set_time: "" }],
      fields: [{ dataTypeID: 2278 }],
    });
    expect(
      (await client.query("select to_char(now() at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as at")).rows[0].at,
    ).toBe("2029-12-31 23:59");
    await client.query("-- a month\nSELECT * FROM pglite_devdb.advance_time(interval '1 month 2 days') AS done;");
    expect((await client.query("select now()::date::text as on")).rows[0].on).toBe("2030-02-03");
    await client.query("select pglite_devdb.discrete_time(true)");
    await client.query("select pg_sleep(86400)");
    expect((await client.query("select now()::date::text as on")).rows[0].on).toBe("2030-02-04");
    const { show_time: shown } = (await client.query("select pglite_devdb.show_time()")).rows[0];
    expect(shown).toMatch(/^2030-02-03T23:59:\S+Z, [\d.]+ s ahead of the real time, discrete$/);
    await client.query("select pglite_devdb.reset_time()");
    expect((await client.query("select pglite_devdb.show_time()")).rows[0].show_time).toMatch(/Z, the real time$/);
    // It has a session again, as it was.
    expect((await client.query("show time zone")).rows).toEqual([{ TimeZone: "Asia/Tokyo" }]);
  });

  test("by the extended protocol: unnamed, named, with values of any kind, many at once", async () => {
    const client = await connect();
    for (const at of [new Date("2031-05-06T07:08:09Z"), "2032-05-06T07:08:09Z"]) {
      await client.query("select pglite_devdb.set_time($1)", [at]);
      expect(await year(client)).toBe(new Date(at).getUTCFullYear());
    }
    const advance = { name: "later", text: "select pglite_devdb.advance_time($1::interval)" };
    for (let round = 1; round <= 3; round++) {
      expect((await client.query({ ...advance, values: ["1 year"] })).rows).toEqual([{ advance_time: "" }]);
      expect(await year(client)).toBe(2032 + round);
    }
    const answers = await Promise.all([
      client.query("select 1 as v"),
      client.query("select pglite_devdb.advance_time('1 year')"),
      client.query("select extract(year from now())::int as v"),
      client.query({ ...advance, values: ["1 year"] }),
      client.query("select extract(year from now())::int as v"),
    ]);
    expect(answers.map(({ rows }) => rows[0].v)).toEqual([1, undefined, 2036, undefined, 2037]);
  });

  test("with postgres.js, which asks what a statement is before it runs it", async () => {
    const sql = postgres(db.url, { max: 1, onnotice: () => {} });
    onTestFinished(() => sql.end());
    for (let round = 0; round < 2; round++) {
      await sql`select pglite_devdb.set_time(${new Date(Date.UTC(2050 + round, 0, 2))})`;
      expect(await sql`select extract(year from now())::int as year`).toEqual([{ year: 2050 + round }]);
    }
    await sql`select pglite_devdb.advance_time(${"1 year"})`;
    await sql`select pglite_devdb.discrete_time(${true})`;
    await sql`select pg_sleep(86400)`;
    expect(await sql`select now()::date::text as on`).toEqual([{ on: "2052-01-03" }]);
    await sql.unsafe("select pglite_devdb.discrete_time(false)");
    await expect(sql`select pglite_devdb.set_time(${null})`).rejects.toMatchObject({ code: "22004" });
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
  });

  test("in a transaction, which is as old as it was", async () => {
    const client = await connect();
    await client.query("begin");
    const before = await year(client);
    await client.query("select pglite_devdb.advance_time('2 years')");
    expect(await year(client)).toBe(before);
    expect(await failure(client.query("select pglite_devdb.reset_time()"))).toMatchObject({ code: "55006" });
    await client.query("rollback");
    expect(await year(client)).toBe(before + 2);
    await connect();
    const refused = await failure(client.query("select pglite_devdb.set_time('2001-01-01')"));
    expect(refused).toMatchObject({ code: "55006", severity: "ERROR" });
    expect(refused?.message).toMatch(
      /^the time cannot go back from \S+ to 2001-01-01T00:00:00\.000Z while clients are connected, 1 of them/,
    );
  });
});

describe("messages that come before the answers to those before them", () => {
  const { parse, bind, execute, sync, query } = message;
  const unnamed = (sql: string) => [parse("", sql), bind("", ""), execute(""), sync()];
  const wire = async () => {
    const client = await WireClient.login({ port: Number(new URL(db.url).port) }, { database: "postgres" });
    onTestFinished(() => client.destroy());
    return client;
  };

  test("each pipeline of the unnamed statement is its own", async () => {
    const client = await wire();
    client.send(
      ...unnamed("select pglite_devdb.branch('one')"),
      ...unnamed("select pglite_devdb.branch('two')"),
      ...unnamed("select 42"),
      ...unnamed("select pglite_devdb.drop_branch('one')"),
      ...unnamed("select datname from pg_database where datname like '%~%' and datname !~ '~ready:'"),
      ...unnamed("SELECT PGLITE_DEVDB.DROP_BRANCH('two')"),
    );
    expect(rows(await client.until("Z", 6))).toEqual([
      ...[["postgres~one"], ["postgres~two"], ["42"], [""], ["postgres~two"], [""]],
    ]);
  });

  test("a client's first call may be written in any case", async () => {
    const client = await wire();
    client.send(...unnamed("Select PgLite_DevDb.Show_Time()"));
    expect(types(await client.until("Z"))).toBe("12DCZ");
  });

  test("a portal of a call does not outlive its pipeline, and a call is none of PostgreSQL's", async () => {
    const client = await wire();
    client.send(parse("p", "select pglite_devdb.show_time()"), bind("", "p"), sync(), execute(""), sync());
    const answer = await client.until("Z", 2);
    expect([types(answer), errorFields(answer)?.get("C")]).toEqual(["12ZEZ", "34000"]);
    client.send(parse("", "select pglite_devdb.show_time()"), parse("", "select 1"), bind("", ""), sync());
    const mixed = await client.until("Z");
    expect([types(mixed), errorFields(mixed)?.get("C")]).toEqual(["1EZ", "0A000"]);
  });

  test("a call where data of a COPY belongs is refused", async () => {
    const client = await wire();
    await client.query("select pglite_devdb.show_time(); ");
    await client.query("create table if not exists data (n int)");
    client.send(query("copy data from stdin"));
    await client.until("G");
    client.send(query("select pglite_devdb.show_time()"));
    expect(errorFields(await client.untilEnd())?.get("C")).toBe("08P01");
    const hasty = await wire();
    await hasty.query("select pglite_devdb.show_time()");
    hasty.send(query("copy data from stdin"), query("select pglite_devdb.show_time()"));
    expect(errorFields(await hasty.untilEnd())?.get("C")).toBe("08P01");
  });
});

describe("a prepared call", () => {
  const { parse, bind, describe: describes, execute, sync, query, close } = message;
  const show = "select pglite_devdb.show_time()";
  const isTime = /^\d{4}-\S+Z, .*the real time$/;
  const wire = async () => {
    const client = await WireClient.login({ port: Number(new URL(db.url).port) }, { database: "postgres" });
    onTestFinished(() => client.destroy());
    const answer = async (...messages: Uint8Array[]) => {
      client.send(...messages);
      const said = await client.until("Z");
      return (
        errorFields(said)?.get("C") ?? [types(said), rows(said).flat().join().replace(isTime, "time")].join(" ").trim()
      );
    };
    return { client, answer };
  };
  const run = (name: string) => [bind("", name), execute(""), sync()];
  const shown = "2DCZ time";

  test("has its name for itself, as every statement", async () => {
    const { answer } = await wire();
    expect(await answer(parse("a", show), sync())).toBe("1Z");
    for (const again of [show, "select 1"]) expect(await answer(parse("a", again), sync())).toBe("42P05");
    expect(await answer(...run("a"))).toBe(shown);
    expect(await answer(parse("b", "select 2"), sync())).toBe("1Z");
    expect(await answer(parse("b", show), sync())).toBe("42P05");
    expect(await answer(...run("b"))).toBe("2DCZ 2");
    expect(await answer(query("prepare a as select 3"))).toBe("42P05");
    expect(await answer(close("S", "a"), sync())).toBe("3Z");
    expect(await answer(parse("a", "select 4"), ...run("a"))).toBe("12DCZ 4");
    expect(await answer(parse("", show), sync())).toBe("1Z");
    expect(await answer(parse("", show), ...run(""))).toBe("12DCZ time");
  });

  test("is closed in front of what is asked next, as JDBC does it, whoever answers that", async () => {
    const { answer } = await wire();
    const [a, b, unnamed] = [close("S", "a"), close("S", "b"), close("S", "")];
    expect(await answer(parse("a", show), sync())).toBe("1Z");
    expect(await answer(a, parse("", "select 5"), ...run(""))).toBe("312DCZ 5");
    expect(await answer(...run("a"))).toBe("26000");
    expect(await answer(parse("a", show), parse("b", show), sync())).toBe("11Z");
    expect(await answer(a, b, parse("a", show), ...run("a"))).toBe("3312DCZ time");
    expect(await answer(...run("b"))).toBe("26000");
    expect(await answer(parse("b", "select 6"), sync())).toBe("1Z");
    expect(await answer(b, parse("", show), ...run(""))).toBe("312DCZ time");
    expect(await answer(...run("b"))).toBe("26000");
    expect(await answer(unnamed, sync())).toBe("3Z");
    expect(await answer(...run(""))).toBe("26000");
  });

  test.each(["discard all", "deallocate all", "deallocate a", "do $$ begin execute 'deallocate a'; end $$"])(
    "is gone with %s",
    async (gone) => {
      const { answer } = await wire();
      expect(await answer(parse("a", show), ...run("a"))).toBe("12DCZ time");
      expect(await answer(query(gone))).toBe("CZ");
      for (const use of [run("a"), [describes("S", "a"), sync()]]) expect(await answer(...use)).toBe("26000");
      expect(await answer(parse("a", show), ...run("a"))).toBe("12DCZ time");
      expect(await answer(query(gone))).toBe("CZ");
      expect(await answer(parse("a", "select 4"), sync())).toBe("1Z");
      expect(await answer(...run("a"))).toBe("2DCZ 4");
    },
  );

  test("goes on after a reset, and is none of a pipeline of PostgreSQL's, or of a transaction that has failed", async () => {
    const { answer } = await wire();
    expect(await answer(parse("a", show), sync())).toBe("1Z");
    await db.snapshot("prepared");
    await db.restore("prepared");
    expect(await answer(...run("a"))).toBe(shown);
    expect(await answer(parse("", "select 1"), bind("", ""), execute(""), ...run("a"))).toBe("26000");
    await answer(query("begin"));
    await answer(query("select 1/0"));
    expect(await answer(...run("a"))).toBe("25P02");
    expect(await answer(parse("c", show), sync())).toBe("25P02");
    await answer(query("rollback"));
    expect(await answer(...run("a"))).toBe(shown);
  });

  test("is told of a Bind that is not as long as it says, as PostgreSQL tells it", async () => {
    const { answer } = await wire();
    const text = (value: string) => Buffer.from(`${value}\0`);
    const short = (...numbers: number[]) => Buffer.concat(numbers.map((number) => int16(number)));
    const bodies = [
      Buffer.from("a"),
      text("a"),
      Buffer.concat([text(""), Buffer.from("a")]),
      Buffer.concat([text(""), text("a")]),
      Buffer.concat([text(""), text("a"), short(3, 0)]),
      Buffer.concat([text(""), text("a"), short(0, -1)]),
      Buffer.concat([text(""), text("a"), short(0, 1, 0)]),
      Buffer.concat([text(""), text("a"), short(0, 1, 0x7fff, -1)]),
      Buffer.concat([text(""), text("a"), short(0, 0)]),
      Buffer.concat([text(""), text("a"), short(0, 0, 2, 0)]),
      Buffer.concat([text(""), text("a"), short(0, 0, 0, 0)]),
    ];
    for (const call of [show, "select 1"]) {
      expect(await answer(parse("a", call), parse("", call), sync())).toBe("11Z");
      for (const body of bodies) {
        const codes = await answer(encodeMessage("B", body), execute(""), sync());
        expect([call, body.toString("latin1"), codes]).toEqual([call, body.toString("latin1"), "08P01"]);
      }
      expect(await answer(...run("a"))).toMatch(/^2DCZ/);
      expect(await answer(close("S", "a"), sync())).toBe("3Z");
    }
  });
});

describe("what is no call, or nobody's to make", () => {
  test("is refused by PostgreSQL, with a hint, or as a wrong value is", async () => {
    const client = await connect();
    for (const text of [
      "select pglite_devdb.set_time(now() + '1 day')",
      "select pglite_devdb.set_time('2060-01-01'), 1",
      "select 1; select pglite_devdb.reset_time()",
      "select pglite_devdb.tomorrow()",
      "select pglite_devdb.reset_time(1)",
      "select pglite_devdb.set_time()",
      "do $$ begin perform pglite_devdb.reset_time(); end $$",
    ])
      expect(await failure(client.query(text))).toMatchObject({
        code: "3F000",
        hint: expect.stringContaining("called alone"),
      });
    // As where a seed has its ledger.
    await client.query("create schema pglite_devdb");
    expect(await failure(client.query("select pglite_devdb.advance_time(1)"))).toMatchObject({
      code: "42883",
      hint: expect.stringContaining("called alone"),
    });
    await client.query("drop schema pglite_devdb");
    expect(await failure(client.query("select pglite_devdb.set_time('tomorrow morning')"))).toMatchObject({
      code: "22007",
    });
    expect(await failure(client.query("select pglite_devdb.set_time($1)", ["soon"]))).toMatchObject({ code: "22007" });
    expect(await failure(client.query("select pglite_devdb.set_time('infinity')"))).toMatchObject({ code: "22008" });
    await client.query("begin");
    expect(await failure(client.query("select pglite_devdb.set_time('x')"))).toMatchObject({ code: "22007" });
    expect(await failure(client.query("select pglite_devdb.show_time()"))).toMatchObject({ code: "25P02" });
    await client.query("rollback");
    // A text that only has the words.
    expect((await client.query("select 'pglite_devdb.reset_time()' as v")).rows).toEqual([
      { v: "pglite_devdb.reset_time()" },
    ]);
    expect((await client.query("select count(*)::int as v from pg_namespace where nspname ~ 'devdb'")).rows).toEqual([
      { v: 0 },
    ]);
  });

  test("is refused to whoever is no superuser, also by SET ROLE", async () => {
    const admin = await connect();
    await admin.query("create role app login password 'postgres'");
    const app = await connect(db.url.replace("//postgres:", "//app:"));
    const refused = {
      code: "42501",
      message: "permission denied for function advance_time: only a superuser may call it",
    };
    expect(await failure(app.query("select pglite_devdb.advance_time('1 day')"))).toMatchObject(refused);
    // Whatever his search_path finds before PostgreSQL's own.
    await admin.query(`create schema own authorization app;
      create function own.current_setting(text) returns text language sql as $$ select 'on' $$`);
    await app.query("set search_path = own, pg_catalog");
    expect(await failure(app.query("select pglite_devdb.advance_time('1 day')"))).toMatchObject(refused);
    await admin.query("set role app");
    expect(await failure(admin.query("select pglite_devdb.advance_time($1)", ["1 day"]))).toMatchObject(refused);
  });
});

test("branches, snapshots and resets", async () => {
  const client = await connect();
  await client.query("create table t (v int); insert into t values (1)");
  expect((await client.query("select pglite_devdb.branch($1) as name", ["w1"])).rows).toEqual([
    { name: "postgres~w1" },
  ]);
  await client.query("insert into t values (2)");
  const inside = await connect(db.url.replace(/postgres$/, "postgres~w1"));
  expect((await inside.query("select v from t")).rows).toEqual([{ v: 1 }]);
  await inside.end();
  await client.query("select pglite_devdb.drop_branch('w1')");
  expect(
    (await client.query("select count(*)::int as v from pg_database where datname ~ '~' and datname !~ '~ready:'"))
      .rows,
  ).toEqual([{ v: 0 }]);
  expect(await failure(client.query("select pglite_devdb.branch('a b')"))).toMatchObject({ code: "22023" });
  await client.query("select pglite_devdb.snapshot('two')");
  await client.query("delete from t");
  await client.query("select pglite_devdb.restore('two')");
  expect((await client.query("select v from t order by v")).rows).toEqual([{ v: 1 }, { v: 2 }]);
  expect(await failure(client.query("select pglite_devdb.restore('three')"))).toBeDefined();
  await client.query("select pglite_devdb.reset()");
  expect(await failure(client.query("select v from t"))).toMatchObject({ code: "42P01" });
});
