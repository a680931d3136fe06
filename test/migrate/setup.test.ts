/** The setup: code between the migrations and the seed that talks to the server before anybody else can. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { MigrationError, startDevDb } from "../../src/index.ts";
import { isAlive, runCli, startCli, temporaryDirectory } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";
import { lastEngineThread } from "../support/engine-thread.ts";
import { waitUntil } from "../support/wait-until.ts";

beforeAll(initializeTemplate);

const pgModule = JSON.stringify(import.meta.resolve("pg"));
/** A tool that migrates in code: it needs what the migrations have made, and the seed needs what it makes. */
const tool = `
  import pg from ${pgModule};
  const client = new pg.Client(process.env.DATABASE_URL);
  await client.connect();
  await client.query("alter table people add column if not exists age int; create table if not exists runs (n serial)");
  const { rows } = await client.query("insert into runs default values returning n");
  await client.end();
  console.log("run", rows[0].n, process.env.PGDATABASE, new URL(process.env.DATABASE_URL).port === process.env.PGPORT);
  console.error("to stderr");`;

function project(files: Record<string, string> = {}): string {
  const cwd = temporaryDirectory();
  mkdirSync(join(cwd, "migrations"));
  const all = { "migrations/1_people.sql": "create table people (name text);", "tool.mjs": tool, ...files };
  for (const [name, text] of Object.entries(all)) writeFileSync(join(cwd, name), text);
  return cwd;
}

async function rowsOf(url: string, sql: string): Promise<unknown[][]> {
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query({ text: sql, rowMode: "array" });
  await client.end();
  return rows;
}

const node = JSON.stringify(process.execPath);

describe("a command", () => {
  test("runs after the migrations and before the seed at every start, and its output is shown", async () => {
    const cwd = project({ "seed.sql": "insert into people (name, age) values ('ada', 36);" });
    const args = ["--port", "0", "-o", "json", "--db", "data", "--seed", "seed.sql", "--setup", `${node} tool.mjs`];
    for (const run of [1, 2]) {
      const cli = startCli(args, { cwd });
      const [line] = await cli.line(/^\{.*\}\n/);
      const { url } = JSON.parse(line!);
      expect(cli.stdout()).toBe(line);
      expect(cli.stderr()).toContain(`pglite-devdb: setup: run ${run} postgres true\n`);
      expect(cli.stderr()).toContain("pglite-devdb: setup: to stderr\n");
      expect(await rowsOf(url, "select name, age from people")).toEqual([["ada", 36]]);
      cli.child.kill("SIGTERM");
      await cli.ended;
    }
  });

  test("that fails is exit 3 with its output, also where the log has none, and the seed has not run", {
    tags: "long",
  }, async () => {
    const cwd = project({ "seed.sql": "this is not SQL" });
    const command = `echo before && echo trouble >&2 && exit 9`;
    const environment = { DEV_DB_SETUP: command };
    const args = ["--port", "0", "--db", initializedDirectory(), "--log-level", "error", "--seed", "seed.sql"];
    const { code, stdout, stderr } = await runCli(args, { cwd, environment });
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    const [first, ...output] = stderr.trimEnd().split("\n");
    expect(first).toBe(`pglite-devdb: the setup ${JSON.stringify(command)} ended with exit code 9`);
    expect(output.map((line) => line.trim()).sort()).toEqual(["before", "trouble"]);
  });

  test.each(["SIGTERM", "SIGKILL"] as const)(
    "ends with all that it has started when the server is ended by %s",
    { tags: "long" },
    async (signal) => {
      const cwd = project();
      const staying = `${node} -e "require('fs').writeFileSync('pid', String(process.pid)); setInterval(() => {}, 1000)"`;
      const cli = startCli(["--port", "0", "--db", initializedDirectory(), "--setup", `${staying}; true`], { cwd });
      const file = join(cwd, "pid");
      await waitUntil("the command runs", () => existsSync(file) && readFileSync(file, "utf8") !== "");
      const pid = Number(readFileSync(file, "utf8"));
      onTestFinished(() => {
        if (isAlive(pid)) process.kill(pid, "SIGKILL");
      });
      cli.child.kill(signal);
      const end = await cli.ended;
      expect(end.stdout).toBe("");
      await waitUntil("the command is gone", () => !isAlive(pid));
    },
  );

  test("is read from package.json", { tags: "long" }, async () => {
    const cwd = project();
    writeFileSync(join(cwd, "package.json"), JSON.stringify({ "pglite-devdb": { setup: "exit 4" } }));
    const { code, stderr } = await runCli(["--port", "0", "--db", initializedDirectory()], { cwd });
    expect(code).toBe(3);
    expect(stderr).toContain('the setup "exit 4" ended with exit code 4');
  });
});

describe("functions of the library", () => {
  test("run in that order, and again in the engine that follows one that died (mocked)", { tags: "long" }, async () => {
    const order: string[] = [];
    const runSql = (name: string, sql: string) => async (url: string) => {
      order.push(name);
      await rowsOf(url, sql);
    };
    const db = await startDevDb({
      port: 0,
      cwd: project(),
      setup: runSql("setup", "alter table people add age int"),
      seed: runSql("seed", "insert into people values ('ada', 36)"),
    });
    onTestFinished(() => db.close());
    expect(order).toEqual(["setup", "seed"]);
    await rowsOf(db.url, "insert into people values ('lost', 1)");
    const thread = lastEngineThread();
    void thread.fail(new Error("it was told to"));
    await waitUntil("a new engine boots", () => lastEngineThread() !== thread);
    expect(await rowsOf(db.url, "select name from people")).toEqual([["ada"]]);
    expect(order).toEqual(["setup", "seed", "setup", "seed"]);
  });

  test("what the setup throws is a MigrationError, and nothing is left open", async () => {
    const cause = new Error("no such thing");
    const starting = startDevDb({ port: 0, migrations: "none", setup: () => Promise.reject(cause) });
    await expect(starting).rejects.toThrow(MigrationError);
    await expect(starting).rejects.toMatchObject({ message: "the setup failed: no such thing", cause });
  });
});
