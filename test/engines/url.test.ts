/** `--engine postgresql://…`: a server that is there, with databases of others. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { runCli, startCli, temporaryDirectory } from "../support/cli-process.ts";
import { query } from "../support/query.ts";
import { waitUntil } from "../support/wait-until.ts";
import { at, databases, hasNative, requireNative, startNative } from "./support/native.ts";

let server: DevDb;
beforeAll(async () => {
  if (hasNative) server = await startNative();
});
beforeEach(requireNative);
afterAll(() => server?.close());

let last = 0;
/** A database's URL that nobody has had. */
const fresh = () => at(server.url, `app${++last}`);

/** A project with a migration and a seed; `drop table` is what a seed might say that expects a database of its own. */
function project(): string {
  const cwd = temporaryDirectory();
  mkdirSync(join(cwd, "migrations"));
  writeFileSync(join(cwd, "migrations/1_people.sql"), "create table people (name text)");
  writeFileSync(join(cwd, "seed.sql"), "drop table if exists precious; insert into people values ('Ada')");
  return cwd;
}
const given = { migrations: "migrations", seed: "seed.sql" };

test("the database is made, migrated and seeded once, and is there when nobody uses it any more", async () => {
  const [engine, cwd] = [fresh(), project()];
  const before = await databases(server.url);
  const first = await startDevDb({ engine, cwd, ...given });
  expect(first).toMatchObject({
    url: engine,
    port: server.port,
    sessions: "isolated",
    migrationsApplied: ["1_people.sql"],
  });
  expect(await first.stats()).toMatchObject({ maxConnections: 105, queuedQueries: 0 });
  await first.close();
  await using again = await startDevDb({ engine, cwd, ...given });
  expect(again.migrationsApplied).toEqual([]);
  expect(await query(again.url, "select name from people")).toEqual(["Ada"]);
  expect(await databases(server.url)).toEqual([...before, new URL(engine).pathname.slice(1)]);
});

test("--database is another one of the same server; several that start at once do it once", async () => {
  const cwd = project();
  const all = await Promise.all(
    [1, 2, 3].map(() => startDevDb({ engine: server.url, database: "together", cwd, ...given })),
  );
  expect(all.flatMap(({ migrationsApplied }) => migrationsApplied)).toEqual(["1_people.sql"]);
  expect(await query(at(server.url, "together"), "select name from people")).toEqual(["Ada"]);
  for (const db of all) await db.close();
});

test.each(["seed", "setup"] as const)(
  "a %s is refused where there are tables of others, and nothing is changed",
  async (key) => {
    const [engine, cwd] = [fresh(), project()];
    const name = new URL(engine).pathname.slice(1);
    await query(at(server.url, "postgres"), `create database ${name}`);
    await query(engine, "create table precious as select 1 as n");
    const option = key === "seed" ? given : { migrations: "migrations", setup: "exit 0" };
    await expect(startDevDb({ engine, cwd, ...option })).rejects.toThrow(
      `${name} at 127.0.0.1:${server.port} has what pglite-devdb has not made (table public.precious …)`,
    );
    const tables = "select relname::text from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace";
    expect(await query(engine, tables)).toEqual(["precious"]);
    // Migrations alone are what was asked for.
    await (await startDevDb({ engine, cwd, migrations: "migrations" })).close();
    expect(await query(engine, `${tables} order by 1`)).toEqual(["people", "precious"]);
    await expect(startDevDb({ engine, cwd, ...option })).rejects.toThrow("table public.precious");
  },
);

test.each([
  ["function public.precious()", "create function precious() returns int language sql as 'select 1'"],
  ["sequence public.precious", "create sequence precious"],
  ["type public.precious", "create type precious as enum ('a')"],
  ["schema precious", "create schema precious"],
  ["text search configuration public.precious", "create text search configuration precious (copy = simple)"],
  ["large object 4711", "select lo_create(4711)"],
])("a seed is refused where there is a %s of others", async (what, statement) => {
  const [engine, cwd] = [fresh(), project()];
  const name = new URL(engine).pathname.slice(1);
  await query(at(server.url, "postgres"), `create database ${name}`);
  await query(engine, statement);
  await expect(startDevDb({ engine, cwd, ...given })).rejects.toThrow(`(${what} …)`);
});

test("what an extension has made is nobody's", async () => {
  const [engine, cwd] = [fresh(), project()];
  await query(at(server.url, "postgres"), `create database ${new URL(engine).pathname.slice(1)}`);
  for (const name of ["hstore", "postgres_fdw", "pg_stat_statements", "isn"]) {
    await query(engine, `create extension ${name}`);
  }
  await (await startDevDb({ engine, cwd, ...given })).close();
  expect(await query(engine, "select name from people")).toEqual(["Ada"]);
});

test("run: the command gets that server, and a setup, too", async () => {
  const engine = `${fresh()}?sslmode=disable`;
  const environment = { DEV_DB_ENGINE: engine };
  const setup = `${process.execPath} -e "process.exit(process.env.DATABASE_URL.includes('app') ? 0 : 1)"`;
  const print = "console.log(process.env.DATABASE_URL, process.env.PGSSLMODE)";
  const ended = await runCli(["run", "--setup", setup, "--", process.execPath, "-e", print], { environment });
  expect(ended).toMatchObject({ code: 0, stdout: `${engine} disable\n` });
});

test("start: says where the data is, stays, and leaves the server running", { tags: "long" }, async () => {
  const engine = fresh();
  const cli = startCli(["--engine", engine]);
  const ready = await cli.line(/URL +(\S+)[\s\S]*data +(.*)\n/);
  expect(ready.slice(1)).toEqual([
    engine,
    `in app${last} on the server at 127.0.0.1:${server.port}, which is left running`,
  ]);
  cli.child.kill("SIGTERM");
  expect((await cli.ended).code).toBe(143);
  expect(await query(engine, "select 1")).toEqual([1]);
});

test("a start says who prepares the database meanwhile, and its end ends the wait", async () => {
  const [engine, cwd] = [fresh(), project()];
  const name = new URL(engine).pathname.slice(1);
  await query(at(server.url, "postgres"), `create database ${name}`);
  const other = new pg.Client({ connectionString: engine, application_name: "somebody" });
  await other.connect();
  onTestFinished(() => other.end());
  const { rows } = await other.query("select pg_backend_pid() as pid, pg_advisory_lock(7461130021)");
  const start = () => startCli(["--engine", engine, "--migrations", "migrations"], { cwd });
  const said = `waiting for the session with the process ID ${rows[0].pid} (user postgres, application somebody) to prepare the database ${name}`;
  const [ended, patient] = [start(), start()];
  for (const cli of [ended, patient])
    await waitUntil("it says so", async () => `${cli.stdout()}${cli.stderr()}`.includes(said));
  ended.child.kill("SIGTERM");
  expect((await ended.ended).code).toBe(143);
  await other.query("select pg_advisory_unlock_all()");
  await patient.line(/URL +(\S+)/);
  expect(await query(engine, "select relname::text from pg_class where relname = 'people'")).toEqual(["people"]);
  patient.child.kill("SIGTERM");
  await patient.ended;
});

test("a start that is aborted while another one prepares leaves no connection", async () => {
  const [engine, cwd] = [fresh(), project()];
  const name = new URL(engine).pathname.slice(1);
  const admin = at(server.url, "postgres");
  await query(admin, `create database ${name}`);
  const other = new pg.Client(engine);
  await other.connect();
  onTestFinished(() => other.end());
  await other.query("select pg_advisory_lock(7461130021)");
  const [stop, lines] = [new AbortController(), [] as string[]];
  const start = startDevDb({ engine, cwd, ...given, signal: stop.signal, log: (_, line) => void lines.push(line) });
  await waitUntil("it waits", async () => lines.some((line) => line.startsWith("waiting for the session")));
  stop.abort(new Error("enough"));
  await expect(start).rejects.toThrow("enough");
  const connected = `select pid from pg_stat_activity where datname = '${name}'`;
  await waitUntil("only the other one is connected", async () => (await query(admin, connected)).length === 1);
});

test("a start that is ended during a migration leaves no statement running without the lock", async () => {
  const [engine, cwd] = [fresh(), project()];
  writeFileSync(join(cwd, "migrations/2_slow.sql"), "create table slow (); select pg_sleep(30)");
  const cli = startCli(["--engine", engine, "--migrations", "migrations"], { cwd });
  const admin = at(server.url, "postgres");
  const running = `select query from pg_stat_activity where datname = '${new URL(engine).pathname.slice(1)}'
    and wait_event = 'PgSleep'`;
  await waitUntil("it sleeps", async () => (await query(admin, running)).length === 1);
  cli.child.kill("SIGTERM");
  expect((await cli.ended).code).toBe(143);
  expect(await query(admin, running)).toEqual([]);
});

test.each([
  ["db", "data"],
  ["port", 5433],
  ["host", "127.0.0.1"],
  ["sessions", "shared"],
  ["trace", "t.trace"],
  ["tls", "auto"],
  ["branches", "on"],
  ["set", ["work_mem=1MB"]],
  ["user", "me"],
  ["password", "x"],
  ["transactionIdleTimeoutMs", 1000],
])("%s %s is refused by its name", async (name, value) => {
  const start = startDevDb({ engine: server.url, [name]: value });
  await expect(start).rejects.toThrow(new RegExp(`^${name} in the options: .*--engine postgresql://`));
});

test("nobody there, a wrong password: exit 2, in a sentence", { tags: "long" }, async () => {
  const nobody = await runCli(["run", "--engine", "postgresql://postgres@127.0.0.1:1/x", "--", "true"]);
  expect(nobody).toMatchObject({ code: 2, stderr: expect.stringContaining("127.0.0.1:1") });
  const stranger = await runCli(["run", "--engine", server.url.replace("postgres:", "nobody:"), "--", "true"]);
  expect(stranger).toMatchObject({ code: 2, stderr: expect.stringContaining(`28P01`) });
});

test.each([
  ["me:50%off@", "", "password", "percent-encoded"],
  ["m%e:secret@", "", "user", "percent-encoded"],
  ["me:secret@", "a%zz", "database", "percent-encoded"],
  ["me:secret@", "a%00", "database", "%00"],
])("postgresql://%shost/%s: exit 2, and what is wrong, without the password", async (login, path, what, why) => {
  const engine = `postgresql://${login}127.0.0.1:1/${path}`;
  const ended = await runCli(["run", "--engine", engine, "--database", "other", "--", "true"]);
  expect(ended).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(`--engine: .*\\b${what}\\b.*${why}`),
  });
  expect(ended.stderr).not.toMatch(/secret|50|^ +at /m);
});

test("an extension is one that the server has, or refused", async () => {
  await using db = await startDevDb({ engine: fresh(), migrations: "none", extensions: ["postgres_fdw", "uuid_ossp"] });
  expect(db.sessions).toBe("isolated");
  const lacking = startDevDb({ engine: fresh(), migrations: "none", extensions: ["vector"] });
  await expect(lacking).rejects.toThrow(/127\.0\.0\.1.*extension vector/);
});

test("db.reset() is refused: the data is not ours", async () => {
  await using db = await startDevDb({ engine: fresh(), migrations: "none" });
  await expect(db.reset()).rejects.toThrow(/db\.reset\(\) .*pglite/);
});

describe("branches", () => {
  test("are what migrations and seed have made, also while the database is in use; they go with the run", async () => {
    const [engine, cwd] = [fresh(), project()];
    const db = await startDevDb({ engine, cwd, ...given });
    const user = new pg.Client(db.url);
    user.on("error", () => {});
    await user.connect();
    await user.query("insert into people values ('Bob')");
    const branch = await db.branch("w1");
    expect(branch).toMatchObject({ name: "w1", url: `${engine}~w1` });
    await query(branch.url, "insert into people values ('Eve')");
    expect(await query(branch.url, "select name from people")).toEqual(["Ada", "Eve"]);
    await branch.reset();
    expect(await query(branch.url, "select name from people")).toEqual(["Ada"]);
    await branch.drop();
    await db.branch();
    await user.end();
    await db.close();
    expect((await databases(server.url)).filter((name) => String(name).includes("~"))).toEqual([]);
    expect(await query(engine, "select name from people")).toEqual(["Ada", "Bob"]);
  });

  test("a migration that fails leaves no database of the run's", async () => {
    const [engine, cwd] = [fresh(), project()];
    await using db = await startDevDb({ engine, cwd, migrations: "migrations" });
    writeFileSync(join(cwd, "migrations/2_broken.sql"), "create table people (name text)");
    await expect(db.branch()).rejects.toThrow(/2_broken\.sql.*42P07/);
    expect((await databases(server.url)).filter((name) => String(name).includes("~"))).toEqual([]);
  });

  test("what a killed run has left goes with the next one, and nothing of one that lives", {
    tags: "long",
  }, async () => {
    const engine = fresh();
    await using living = await startDevDb({ engine, migrations: "none" });
    const kept = await living.branch();
    const program = `import { startDevDb } from "${new URL("../../dist/index.js", import.meta.url).href}";
      const db = await startDevDb({ engine: process.argv[1], migrations: "none" }); await db.branch(); console.log("ready")`;
    const killed = startCli([
      "run",
      "--engine",
      engine,
      "--",
      process.execPath,
      "--input-type=module",
      "-e",
      program,
      engine,
    ]);
    await killed.line(/ready/);
    const branches = async () => (await databases(server.url)).filter((name) => String(name).includes("~"));
    expect(await branches()).toHaveLength(4);
    killed.child.kill("SIGKILL");
    await killed.ended;
    // The server hears of it a moment later.
    const holders = "select 1 from pg_locks where locktype = 'advisory' and granted";
    await waitUntil("its lock is gone", async () => (await query(engine, holders)).length === 1);
    await using next = await startDevDb({ engine, migrations: "none" });
    await next.branch();
    // Of the two that live, each with its own database and a branch.
    expect(await branches()).toHaveLength(4);
    expect(await query(kept.url, "select 1")).toEqual([1]);
  });

  test("the lock of a run outlives a timeout of idle sessions, and the end of its connection", async () => {
    const engine = fresh();
    const database = new URL(engine).pathname.slice(1);
    await (await startDevDb({ engine, migrations: "none" })).close();
    await query(at(server.url, "postgres"), `alter database ${database} set idle_session_timeout = '100ms'`);
    await using db = await startDevDb({ engine, migrations: "none" });
    await db.branch();
    const holders = `select pid from pg_locks where locktype = 'advisory' and granted
      and database = (select oid from pg_database where datname = '${database}')`;
    const admin = at(server.url, "postgres");
    const [holder] = await query(admin, holders);
    for (let n = 0; n < 2; n++) {
      const idle = new pg.Client(engine);
      const ended = new Promise((resolve) => idle.on("error", resolve));
      await idle.connect();
      expect(await ended).toMatchObject({ code: "57P05" });
    }
    expect(await query(admin, holders)).toEqual([holder]);
    await query(admin, `select pg_terminate_backend(${holder}, 5000)`);
    await waitUntil("it has the lock again", async () => {
      const [again] = await query(admin, holders);
      return again !== undefined && again !== holder;
    });
  });

  test("a branch has no name that a run's own database could have, which another run would drop", async () => {
    const engine = fresh();
    await using db = await startDevDb({ engine, migrations: "none" });
    await expect(db.branch("run_12345678")).rejects.toMatchObject({
      name: "UsageError",
      message: expect.stringContaining("run_12345678"),
    });
    const made = await runCli(["branch", "--url", engine, "run_12345678"]);
    expect(made).toMatchObject({ code: 2, stderr: expect.stringContaining("run_12345678") });
    await (await db.branch("run_1234567")).drop();
  });

  test("no run drops what somebody is connected to, whoever has made it", async () => {
    const engine = fresh();
    const [left, branch] = [`${new URL(engine).pathname.slice(1)}~run_00000000`, "b1"];
    const admin = at(server.url, "postgres");
    for (const name of [left, `${left}~${branch}`]) await query(admin, `create database "${name}"`);
    const there = async () => (await databases(admin)).filter((name) => String(name).startsWith(left));
    const user = new pg.Client(at(server.url, `${left}~${branch}`));
    await user.connect();
    const next = async () => {
      await using db = await startDevDb({ engine, migrations: "none" });
      await db.branch();
    };
    await next();
    expect(await there()).toEqual([left, `${left}~${branch}`]);
    expect((await user.query("select 1 as n")).rows).toEqual([{ n: 1 }]);
    await user.end();
    await waitUntil("it has left", async () => {
      await next();
      return (await there()).length === 0;
    });
  });

  test("of the command line: of the database itself, or PostgreSQL's refusal while somebody is connected", {
    tags: "long",
  }, async () => {
    const url = fresh();
    await (await startDevDb({ engine: url, migrations: "none" })).close();
    expect(await runCli(["branch", "--url", url, "w1"])).toMatchObject({ code: 0, stdout: `${url}~w1\n` });
    expect(await runCli(["branch", "--url", url, "w1"])).toMatchObject({ code: 0, stdout: `${url}~w1\n` });
    expect(await runCli(["branch", "--url", url, "rm", "w1"])).toMatchObject({ code: 0 });
    const user = new pg.Client(url);
    await user.connect();
    const refused = await runCli(["branch", "--url", url, "w2"]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("is being accessed by other users") });
    await user.end();
  });
});
