/**
 * The small tools of PostgreSQL: pg_isready, and pg_dump where its version lets it.
 *
 * pg_dump refuses a server that is newer than itself, by its own rule: an older one is only shown to do that.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { atOnce } from "./support/at-once.ts";
import { majorVersion, requireClient } from "./support/installed.ts";
import { psqlLines } from "./support/psql.ts";
import { libpqEnvironment, run } from "./support/run-program.ts";
import { type ServerProcess, startOurs } from "./support/server-process.ts";

const serverVersion = 18;
let server: ServerProcess;

beforeAll(async () => {
  server = await startOurs();
});
afterAll(() => server?.stop());
afterEach(() => server.expectHealthy());

test("pg_isready finds the server accepting connections, eight at once", async (context) => {
  requireClient(context, "pg_isready");
  const results = await atOnce(8, () => run("pg_isready", [], { env: libpqEnvironment(server.url) }));
  for (const result of results) {
    expect([result.code, result.stdout]).toEqual([0, `${server.host}:${server.port} - accepting connections\n`]);
  }
});

test(`a pg_dump older than ${serverVersion} refuses the newer server, as it does with PostgreSQL`, async (context) => {
  requireClient(context, "pg_dump");
  if (majorVersion("pg_dump") >= serverVersion) context.skip("this pg_dump is new enough");
  const results = await atOnce(4, () => run("pg_dump", ["-d", server.url]));
  for (const { code, stderr } of results) {
    expect([code, stderr]).toEqual([1, expect.stringContaining("aborting because of server version mismatch")]);
  }
});

test(`a pg_dump from ${serverVersion} on writes schema and data that psql loads again`, async (context) => {
  requireClient(context, "pg_dump");
  requireClient(context, "psql");
  if (majorVersion("pg_dump") < serverVersion) context.skip("pg_dump refuses a server that is newer than itself");
  const makeTables = `create schema source; create type source.mood as enum ('glad', 'sad');
    create table source.person (id integer generated always as identity primary key, name text not null, mood source.mood);
    create index person_name on source.person (lower(name));
    create view source.glad as select id from source.person where mood = 'glad';
    insert into source.person (name, mood)
      select 'name ' || n, case when n % 2 = 0 then 'glad' else 'sad' end::source.mood from generate_series(1, 1000) n`;
  await psqlLines(server.url, ["-c", makeTables]);
  const dumps = await atOnce(2, () => run("pg_dump", ["-n", "source", "-d", server.url]));
  for (const dump of dumps) expect(dump.code, dump.all).toBe(0);
  await psqlLines(server.url, ["-c", "alter schema source rename to original"]);
  await psqlLines(server.url, [], { input: dumps[0]!.stdout });
  const compare = `select count(*), count(*) filter (where o.name = s.name and o.mood::text = s.mood::text)
    from original.person o full join source.person s using (id)`;
  expect(await psqlLines(server.url, ["-c", compare, "-c", "select count(*) from source.glad"])).toEqual([
    "1000|1000",
    "500",
  ]);
});
