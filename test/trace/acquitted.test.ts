/** `trace check`: programs that are right, in ways that are easily taken for a lost update. */
import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { findAnomalies } from "../../src/trace/anomalies/anomalies.ts";
import { openTrace } from "../../src/trace/read/trace-reader.ts";
import { recordBefore } from "./support/recorded.ts";

let db: DevDb;
let admin: pg.Client;

beforeAll(async () => {
  db = await startDevDb({ port: 0, migrations: "none" });
  admin = new pg.Client({ connectionString: db.url });
  await admin.connect();
  await admin.query(`
    create table seats (id int primary key, free int, price numeric(10,2), ratio real, dbl double precision, name varchar(10));
    create table "order items" (id int primary key, free int);
    create table "2fa" (id int primary key, free int);
    create view seats_view as select * from seats;
    create role tenant login superuser;
    create role guest login superuser;
    alter role guest set search_path = tenant;
    create schema tenant;
    create table tenant.seats (id int primary key, free int);
    insert into tenant.seats values (1, 10);
    create function lock_seat(int) returns int language sql as 'select free from public.seats where id = $1 for update';
    create function enter() returns text language sql as $$ select set_config('search_path', 'tenant', false) $$`);
});

afterAll(async () => {
  await admin.end();
  await db.close();
});

beforeEach(async () => {
  await admin.query(`
    truncate seats, "order items", "2fa";
    insert into seats values (1, 10, 0.30, 0.3, 0.3, 'a');
    insert into "order items" values (1, 10);
    insert into "2fa" values (1, 10)`);
});

type Say = (sql: string, ...values: unknown[]) => Promise<unknown>;

async function found(
  act: (ann: Say, bob: Say) => Promise<unknown>,
  users = ["postgres", "postgres"],
): Promise<string[]> {
  const proxy = await recordBefore(db.port);
  const clients = await Promise.all(
    users.map(async (user) => {
      const client = new pg.Client({
        host: "127.0.0.1",
        port: proxy.port,
        database: "postgres",
        user,
        password: "postgres",
      });
      await client.connect();
      return client;
    }),
  );
  const [ann, bob] = clients.map(
    (client): Say =>
      (sql, ...values) =>
        client.query(sql, values),
  ) as [Say, Say];
  try {
    await act(ann, bob);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
  return [...findAnomalies(openTrace(await proxy.stop()))].map(({ kind, sentence }) => `${kind}: ${sentence}`);
}

test.each(["order items", "2fa"])("what was read again behind a lock, in a table named %s", async (table) => {
  const read = `select free from "${table}" where id = 1`;
  expect(
    await found(async (ann, bob) => {
      await ann("begin");
      await ann(read);
      await bob(`update "${table}" set free = 5 where id = 1`);
      await ann(`${read} for update`);
      await ann(`update "${table}" set free = 4 where id = 1`);
      await ann("commit");
    }),
  ).toEqual([]);
});

test.each([
  ["price", 0.1 + 0.2],
  ["ratio", 0.1 + 0.2],
  ["dbl", "'3e-1'"],
])("a value that the column %s has already, when it is rounded", async (column, value) => {
  expect(
    await found(async (ann, bob) => {
      for (const say of [ann, bob]) {
        await say("begin");
        await say(`select ${column} from seats where id = 1`);
      }
      for (const say of [bob, ann]) {
        await say(`update seats set ${column} = ${value} where id = 1`);
        await say("commit");
      }
    }),
  ).toEqual([]);
});

test.each(["commit and chain", "rollback and chain"])("two transactions: %s", async (end) => {
  expect(
    await found(async (ann, bob) => {
      await ann("begin");
      await ann("select free from seats where id = 1");
      await ann(end);
      await bob("update seats set free = 5 where id = 1");
      await ann("update seats set free = 7 where id = 1");
      await ann("commit");
    }),
  ).toEqual([]);
});

test.each(["tenant", "guest"])(
  "a table of the same name, which the role %s has in a schema of its own",
  async (role) => {
    expect(
      await found(
        async (ann, bob) => {
          await ann("begin");
          await ann("select free from seats where id = 1");
          await bob("update seats set free = 5 where id = 1");
          await ann("update seats set free = 7 where id = 1");
          await ann("commit");
        },
        ["postgres", role],
      ),
    ).toEqual([]);
  },
);

test("a search_path that a function sets", async () => {
  expect(
    await found(async (ann, bob) => {
      await bob("select enter()");
      await ann("begin");
      await ann("select free from seats where id = 1");
      await bob("update seats set free = 5 where id = 1");
      await ann("update seats set free = 7 where id = 1");
      await ann("commit");
    }),
  ).toEqual([]);
});

test.each([
  ["a view", "select free from seats_view where id = 1 for update"],
  ["a function", "select lock_seat(1)"],
  ["a prepared statement", "execute locking(1)"],
])("what was read again behind a lock, by %s", async (_, again) => {
  expect(
    await found(async (ann, bob) => {
      await ann("prepare locking(int) as select free from seats where id = $1 for update");
      await ann("begin");
      await ann("select free from seats where id = 1");
      await bob("update seats set free = 5 where id = 1");
      await ann(again);
      await ann("update seats set free = 4 where id = 1");
      await ann("commit");
    }),
  ).toEqual([]);
});
