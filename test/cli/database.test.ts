/** `--user`, `--database` and `--set`: what a database is called and how PostgreSQL is set, from its start on. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { type DevDb, type DevDbOptions, startDevDb, UsageError } from "../../src/index.ts";
import { runCli, startCli, temporaryDirectory } from "../support/cli-process.ts";

async function start(options: DevDbOptions): Promise<DevDb> {
  const db = await startDevDb({ port: 0, migrations: "none", ...options });
  onTestFinished(() => db.close());
  return db;
}

async function ask(url: string, sql: string): Promise<unknown[][]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query({ text: sql, rowMode: "array" })).rows;
  } finally {
    await client.end();
  }
}

const who = "select current_user, current_database(), (select usesuper from pg_user where usename = current_user)";

describe("--user and --database", () => {
  test("are made, are those of the URL, and get migrations, setup and seed, also at the next start", async () => {
    const cwd = temporaryDirectory();
    mkdirSync(join(cwd, "migrations"));
    writeFileSync(join(cwd, "migrations/1.sql"), "create table people (name text);");
    writeFileSync(join(cwd, "seed.sql"), "insert into people values ('ada');");
    const options: DevDbOptions = { cwd, db: "data", migrations: "auto", seed: "seed.sql", user: "me@home" };
    const setups: unknown[][][] = [];
    const setup = async (url: string) => void setups.push(await ask(url, who));
    for (const run of [1, 2]) {
      const db = await start({ ...options, database: "my app", setup });
      expect(db).toMatchObject({ user: "me@home", database: "my app" });
      expect(setups.at(-1)).toEqual([["me@home", "my app", true]]);
      expect(
        await ask(
          db.url,
          "select p.name, c.relowner::regrole::text from people p, pg_class c where relname = 'people'",
        ),
      ).toEqual([["ada", '"me@home"']]);
      expect(db.migrationsApplied.length).toBe(run === 1 ? 1 : 0);
      const elsewhere = `postgresql://postgres@127.0.0.1:${db.port}/postgres`;
      expect(await ask(elsewhere, "select to_regclass('people'), to_regclass('pglite_devdb.seeds')")).toEqual([
        [null, null],
      ]);
      await db.close();
    }
  });

  test("a user who is there and no superuser is left one, and is who the migrations are run as", {
    tags: "long",
  }, async () => {
    const cwd = temporaryDirectory();
    const first = await start({ cwd, db: "data" });
    await ask(first.url, "create role app login");
    await first.close();
    mkdirSync(join(cwd, "migrations"));
    writeFileSync(join(cwd, "migrations/1.sql"), "create table people (name text);");
    const db = await start({ cwd, db: "data", migrations: "migrations", user: "app", database: "app" });
    expect(await ask(db.url, who)).toEqual([["app", "app", false]]);
    expect(await ask(db.url, "select relowner::regrole::text from pg_class where relname = 'people'")).toEqual([
      ["app"],
    ]);
  });

  test("the database of a user is called like the user, and the variables say so", { tags: "long" }, async () => {
    const cli = startCli(["--port", "0", "-o", "env"], { environment: { DEV_DB_USER: "ada" } });
    const [text] = await cli.line(/(\w+=.*\n)*PGSSLMODE=disable\n/);
    expect(text).toMatch(/^DATABASE_URL=postgresql:\/\/ada:postgres@127\.0\.0\.1:\d+\/ada$/m);
    expect(text).toMatch(/^PGUSER=ada$/m);
    expect(text).toMatch(/^PGDATABASE=ada$/m);
  });

  test.each([
    [{ user: "pg_ada" }, /^user in the options: role name "pg_ada" is reserved \(42939\)$/],
    [
      { database: "template0" },
      /^database in the options: postgres cannot connect to template0: PostgreSQL refused a session: /,
    ],
    [
      { database: "app", sessions: "shared" as const },
      /^database in the options: with shared sessions there are only the user and the database postgres$/,
    ],
  ])("%j is an error of the option in PostgreSQL's words", async (options, message) => {
    const starting = startDevDb({ port: 0, migrations: "none", ...options });
    await expect(starting).rejects.toThrow(UsageError);
    await expect(starting).rejects.toThrow(message);
  });
});

describe("--set", () => {
  const settings = ["work_mem=7MB", "Search_Path=app, public", "auto_explain.log_min_duration=5"];
  const shown =
    "select current_setting('work_mem'), current_setting('search_path'), current_setting('auto_explain.log_min_duration')";

  test.each(["isolated", "shared"] as const)("is every session's default (%s)", { tags: "long" }, async (sessions) => {
    const db = await start({ sessions, set: settings });
    expect(await ask(db.url, shown)).toEqual([["7MB", "app, public", "5"]]);
    expect(await ask(db.url, "set work_mem = '1MB'; reset work_mem").then(() => ask(db.url, shown))).toEqual([
      ["7MB", "app, public", "5"],
    ]);
  });

  test.each([
    ["memory://", ["no_such_setting=1"], 'unrecognized configuration parameter "no_such_setting"'],
    ["data", ["no_such_setting=1"], 'unrecognized configuration parameter "no_such_setting"'],
    ["memory://", ["wal_level=some"], 'invalid value for parameter "wal_level": "some"'],
    ["memory://", ["work_mem=1"], '1 kB is outside the valid range for parameter "work_mem" (64 kB .. 2097151 kB)'],
  ])("in %s %s is PostgreSQL's own error, exit 2", { tags: "long" }, async (db, set, message) => {
    const args = ["--port", "0", "--migrations", "none", "--db", db, ...set.flatMap((each) => ["--set", each])];
    const { code, stderr } = await runCli(args);
    expect(stderr).toContain(`pglite-devdb: --set: ${message}`);
    expect(code).toBe(2);
  });

  test("a name that the product depends on is refused with its reason, before anything is made", async () => {
    const cwd = temporaryDirectory();
    const environment = { DEV_DB_SET: "work_mem=1MB, MAX_CONNECTIONS=5" };
    const { code, stderr } = await runCli(["--port", "0", "--db", "data"], { cwd, environment });
    expect(stderr).toMatch(/^pglite-devdb: DEV_DB_SET: max_connections .*--max-connections\n$/);
    expect(code).toBe(2);
    expect(() => rmSync(join(cwd, "data"), { recursive: true })).toThrow("ENOENT");
  });
});
