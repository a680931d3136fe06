/** Extensions that PGlite ships, in a server that was told of none: for all sessions, each with its own data of their libraries. */
import pg from "pg";
import postgres from "postgres";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { contribExtensions } from "../../src/engine/extensions.ts";
import { startDevDb } from "../../src/index.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";
import { servedDb } from "../support/dev-db.ts";

beforeAll(initializeTemplate);

const clients: postgres.Sql[] = [];
afterEach(() => Promise.all(clients.splice(0).map((client) => client.end())));

function connect(url: string): postgres.Sql {
  const client = postgres(url, { max: 1, onnotice: () => {} });
  clients.push(client);
  return client;
}

describe("extensions that PGlite ships", () => {
  const served = servedDb();

  test("what one creates all have, also who was there before and when the first has gone", async () => {
    const [first, before] = [connect(served.db.url), connect(served.db.url)];
    await before`select 1`;
    for (const name of ["citext", "uuid-ossp", "pgcrypto", "hstore", "pg_trgm"]) {
      await first.unsafe(`create extension "${name}"`);
    }
    const uses = `select 'A'::citext = 'a'::citext as citext, uuid_generate_v4() <> uuid_generate_v4() as uuid, 'a=>1'::hstore -> 'a' as hstore,
      encode(digest('x', 'sha1'), 'hex') as digest, similarity('word', 'word') as trgm`;
    const digest = "11f6ad8ec52a2984abaafd7c3b516503785c2072";
    const expected = [{ citext: true, uuid: true, hstore: "1", digest, trgm: 1 }];
    expect(await first.unsafe(uses)).toEqual(expected);
    expect(await before.unsafe(uses)).toEqual(expected);
    await first.end();
    expect(await before.unsafe(uses)).toEqual(expected);
    expect(await connect(served.db.url).unsafe(uses)).toEqual(expected);
  });

  test("all can be created, and pg_available_extensions lists what is there", async () => {
    const client = connect(served.db.url);
    const rows = await client`select name from pg_available_extensions order by name`;
    const names = rows.map(({ name }) => String(name));
    // Without those that are modules only, and with what comes in one bundle (moddatetime's) or without a JavaScript module.
    const modules = ["auto_explain"];
    expect(names).toEqual(
      expect.arrayContaining(
        contribExtensions.filter((name) => !modules.includes(name)).map((name) => name.replace("uuid_", "uuid-")),
      ),
    );
    for (const name of names) await client.unsafe(`create extension if not exists "${name}" cascade`);
    const created = await client`select count(*)::int as count from pg_extension`;
    expect(created).toEqual([{ count: names.length }]);
    await expect(client`create extension postgis`).rejects.toMatchObject({ code: "0A000" });
  });

  test("a library that has to be there from the start says so, as in PostgreSQL", async () => {
    const client = connect(served.db.url);
    await client`create extension if not exists pg_stat_statements`;
    await expect(client`select * from pg_stat_statements`).rejects.toMatchObject({ code: "55000" });
    await client`load 'auto_explain'`;
    await client`set auto_explain.log_min_duration = 0`;
    expect(await client`select 1 as one`).toEqual([{ one: 1 }]);
  });

  test("in a directory they are there after the next start", { tags: "long" }, async () => {
    const db = initializedDirectory();
    for (const sql of ["create extension intarray; create table t (a int[]); insert into t values ('{3,1}')", ""]) {
      const server = await startDevDb({ port: 0, migrations: "none", db });
      const client = postgres(server.url, { max: 1 });
      if (sql) await client.unsafe(sql);
      expect(await client`select sort(a) as sorted from t`).toEqual([{ sorted: [1, 3] }]);
      await client.end();
      await server.close();
    }
  });
});

describe("of several sessions", () => {
  const served = servedDb();

  test("a library's variables are each session's own", async () => {
    const [one, other] = [connect(served.db.url), connect(served.db.url)];
    const threshold = (client: postgres.Sql) => client`select show_limit()::text as at`;
    await one`create extension pg_trgm`;
    await other`select 1`;
    await one`select set_limit(0.7)`;
    expect(await threshold(other)).toEqual([{ at: "0.3" }]);
    await other`select set_limit(0.5)`;
    expect(await threshold(one)).toEqual([{ at: "0.7" }]);
    expect(await threshold(other)).toEqual([{ at: "0.5" }]);
    expect(await threshold(connect(served.db.url))).toEqual([{ at: "0.3" }]);
    expect(await threshold(one)).toEqual([{ at: "0.7" }]);
  });

  test("a function is looked for in its own library, whichever another session has loaded since at the same address", async () => {
    const admin = connect(served.db.url);
    const names = "earthdistance, pgcrypto, intarray, pg_trgm, fuzzystrmatch, amcheck, hstore, citext".split(", ");
    for (const name of names) {
      await admin.unsafe(`create extension if not exists ${name} cascade`);
    }
    for (let round = 0; round < 2; round++) {
      await using one = await served.db.branch();
      await using other = await served.db.branch();
      const [a, b] = [new pg.Client(one.url), new pg.Client(other.url)];
      for (const client of [a, b]) {
        await client.connect();
        await client.query("select round(earth_distance(ll_to_earth(0, 0), ll_to_earth(0, 0)))");
      }
      await a.query("select encode(digest('a', 'sha256'), 'hex')");
      await b.query("select icount('{1,2,3}'::int[])");
      expect((await a.query("select length(gen_salt('bf')) as n")).rows).toEqual([{ n: 29 }]);
      expect((await b.query("select sort('{2,1}'::int[]) as s")).rows).toEqual([{ s: [1, 2] }]);
      await Promise.all([a, b].map((client) => client.end()));
    }
  });

  test("many sessions at once load libraries for the first time", async () => {
    const sessions = Array.from({ length: 8 }, () => connect(served.db.url));
    await sessions[0]!`create extension if not exists ltree`;
    await sessions[0]!`create extension if not exists cube`;
    const answers = await Promise.all(
      sessions.map((client, i) =>
        i % 2 === 0
          ? client`select nlevel('a.b.c'::ltree) as n from generate_series(1, 200)`
          : client`select cube_dim(cube(array[1, 2, 3])) as n from generate_series(1, 200)`,
      ),
    );
    for (const rows of answers) expect(new Set(rows.map(({ n }) => n))).toEqual(new Set([3]));
  });
});
