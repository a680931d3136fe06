/**
 * `pglite-devdb start` as a process: ready lines, ports, data directories, migrations, and how it ends.
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import postgres from "postgres";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { freePort } from "../../src/dev-db/servers/free-port.ts";
import { readErrorFields } from "../../src/wire/query-results.ts";
import { runCli, startCli, temporaryDirectory } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";
import { message, WireClient } from "../support/wire-client.ts";

beforeAll(initializeTemplate);

function client(url: string, settings: postgres.Options<Record<string, never>> = {}) {
  const sql = postgres(url, { max: 1, onnotice: () => {}, ...settings });
  onTestFinished(() => sql.end({ timeout: 1 }));
  return sql;
}

/** Listens on a port for the time of the test. */
function occupy(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      onTestFinished(() => void server.close());
      resolve((server.address() as { port: number }).port);
    });
  });
}

describe("the ready line", () => {
  test("text tells a person the URL, a psql line, where the data is and how to keep it", async () => {
    const cli = startCli(["--port", "0"]);
    const [, url] = await cli.line(/URL {3}(postgresql:\S+)/);
    await cli.line(/To keep it: .*\n/);
    expect(cli.stdout()).toContain(`psql ${url}\n`);
    expect(cli.stdout()).toMatch(/PostgreSQL 18\.\d+ is ready \(0 migrations applied, [\d.]+ s\)/);
    expect(await client(url!)`select 1 as one`).toEqual([{ one: 1 }]);
    cli.child.kill("SIGTERM");
    expect(await cli.ended).toMatchObject({ code: 143, stderr: expect.stringContaining("SIGTERM: closing") });
  });

  test("json is one line with the documented keys, printed after migrations and seed", async () => {
    const cwd = temporaryDirectory();
    mkdirSync(join(cwd, "migrations"));
    writeFileSync(join(cwd, "migrations/1_people.sql"), "create table people (name text primary key);");
    writeFileSync(join(cwd, "seed.sql"), "insert into people values ('ada');");
    const cli = startCli(["start", "--port", "0", "-o", "json", "--seed", "seed.sql", "--socket-dir", "."], { cwd });
    const [line] = await cli.line(/^.*\n/);
    const ready = JSON.parse(line!);
    expect(ready).toEqual({
      url: `postgresql://postgres:postgres@127.0.0.1:${ready.port}/postgres`,
      host: "127.0.0.1",
      port: expect.any(Number),
      socketDir: cwd,
      database: "postgres",
      pid: cli.pid,
      version: expect.stringMatching(/^18\./),
      sessions: "isolated",
      migrationsApplied: [expect.stringContaining("1_people")],
      ms: expect.any(Number),
    });
    expect(await client(ready.url)`select name from people`).toEqual([{ name: "ada" }]);
    const bySocket = client("", { host: cwd, port: ready.port, database: "postgres", user: "postgres" });
    expect(await bySocket`select 1 as one`).toEqual([{ one: 1 }]);
    cli.child.kill("SIGTERM");
    const end = await cli.ended;
    expect(end).toMatchObject({ code: 143, stdout: line });
    expect(readdirSync(cwd)).toEqual(["migrations", "seed.sql"]);
  });

  test("env is lines that a shell takes as they are", { tags: "long" }, async () => {
    const cli = startCli(["--port", "0", "-o", "env", "--db", initializedDirectory()]);
    const [text] = await cli.line(/(\w+=.*\n)*PGSSLMODE=disable\n/);
    const names = ["DATABASE_URL", "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE"];
    expect(text!.split("\n").map((line) => line.split("=")[0])).toEqual([...names, ""]);
    const settings = {
      ...process.env,
      ...Object.fromEntries(
        text!
          .trim()
          .split("\n")
          .map((line) => line.split(/=(.*)/s)),
      ),
    };
    expect(await client(settings.DATABASE_URL!)`select 1 as one`).toEqual([{ one: 1 }]);
    expect(settings.DATABASE_URL).toContain(`:${settings.PGPORT}/`);
    cli.child.kill("SIGINT");
    expect((await cli.ended).code).toBe(130);
  });
});

describe("the end", () => {
  const endsBy = async (signal: NodeJS.Signals, code: number): Promise<void> => {
    const cli = startCli(["--port", "0", "-o", "json"]);
    const { port } = JSON.parse((await cli.line(/^.*\n/))[0]!);
    const clients = [
      await WireClient.login({ port }),
      await WireClient.login({ port }),
      await WireClient.login({ port }),
    ];
    const [, inTransaction, inPipeline] = clients;
    inTransaction!.send(message.query("begin"));
    await inTransaction!.until("Z");
    inPipeline!.send(message.parse("", "select 1"));
    cli.child.kill(signal);
    for (const each of clients) {
      const last = (await each.until("E")).at(-1)!;
      expect(readErrorFields(last.body).get("C")).toBe("57P01");
    }
    expect(await cli.ended).toMatchObject({ code, signal: null });
    await expect(reach(port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  };
  const told = "with clients connected: they get 57P01, the exit code is %i, the port is free";

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)(`%s ${told}`, endsBy);
  test.each([["SIGHUP", 129]] as const)(`%s ${told}`, { tags: "long" }, endsBy);

  test("a signal during the start ends it, with the signal's exit code and no ready line", async () => {
    const cwd = temporaryDirectory();
    const cli = startCli(["--port", "0", "--log-level", "debug"], { cwd });
    await new Promise<void>((resolve) => cli.child.stderr!.once("data", () => resolve()));
    cli.child.kill("SIGTERM");
    expect(await cli.ended).toMatchObject({ code: 143, stdout: "" });
  });

  test("a reader of stdout that goes away does not end the server", { tags: "long" }, async () => {
    const cli = startCli(["--port", "0", "-o", "json", "--log-level", "debug", "--db", initializedDirectory()]);
    cli.child.stdout!.destroy();
    let log = "";
    cli.child.stderr!.on("data", (text) => {
      log += text;
    });
    await expect.poll(() => log, { timeout: 300_000 }).toContain("select 1:");
    const port = Number(/listening on 127\.0\.0\.1:(\d+)/.exec(log)?.[1]);
    const sql = client(`postgres://postgres@127.0.0.1:${port}/postgres`);
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
    cli.child.kill("SIGTERM");
    expect((await cli.ended).code).toBe(143);
  });
});

describe("the port", () => {
  test("a taken explicit port: exit 4, the port and its owner are named, nothing is started", async () => {
    const port = await occupy(0);
    for (const [args, environment, name] of [
      [["--port", String(port)], {}, "--port"],
      [[], { DEV_DB_PORT: String(port) }, "DEV_DB_PORT"],
    ] as const) {
      const cwd = temporaryDirectory();
      const end = await runCli([...args, "--db", "data"], { cwd, environment });
      expect(readdirSync(cwd)).toEqual([]);
      expect(end).toMatchObject({ code: 4, stdout: "" });
      expect(end.stderr).toContain(`${name}: port ${port} is taken`);
      if (process.platform === "linux") expect(end.stderr).toContain(`by process ${process.pid} (`);
    }
  });

  test("the taken default port: the server moves to a free one and says so", { tags: "long" }, async () => {
    // The only test that needs a port by number; it does not matter who holds it.
    await occupy(5432).catch((error) => expect(error.code).toBe("EADDRINUSE"));
    const cli = startCli(["-o", "json", "--db", initializedDirectory()]);
    const { url, port } = JSON.parse((await cli.line(/^.*\n/))[0]!);
    expect(port).not.toBe(5432);
    expect(cli.stderr()).toMatch(/port 5432 is taken.*; taking a free one/);
    expect(await client(url)`select 1 as one`).toEqual([{ one: 1 }]);
  });
});

describe("the data directory", () => {
  test("is made, keeps the data, and the ready text names it", async () => {
    const cwd = temporaryDirectory();
    const args = ["--port", "0", "--db", "deep/data"];
    const first = startCli(args, { cwd });
    const sql = client((await first.line(/URL {3}(postgresql:\S+)/))[1]!);
    await sql`create table kept as select 42 as answer`;
    first.child.kill("SIGINT");
    expect((await first.ended).stdout).toContain(`data  ${join(cwd, "deep/data")}\n`);
    const second = startCli([...args, "-o", "json"], { cwd });
    const { url } = JSON.parse((await second.line(/^.*\n/))[0]!);
    expect(await client(url)`select answer from kept`).toEqual([{ answer: 42 }]);
  });

  test("that is a file, or holds something else, is exit 5 and stays as it is", async () => {
    const cwd = temporaryDirectory();
    writeFileSync(join(cwd, "notes.txt"), "x");
    const file = await runCli(["--port", "0", "--db", "notes.txt"], { cwd });
    expect(file).toMatchObject({ code: 5, stdout: "", stderr: expect.stringContaining("notes.txt is a file") });
    const other = await runCli(["--port", "0", "--db", "."], { cwd });
    expect(other).toMatchObject({
      code: 5,
      stdout: "",
      stderr: expect.stringContaining("it holds other files (notes.txt)"),
    });
    expect(readdirSync(cwd)).toEqual(["notes.txt"]);
  });
});

describe("migrations", () => {
  test("a failing migration: exit 3, its file is named, and nothing ever listened", async () => {
    const cwd = temporaryDirectory();
    mkdirSync(join(cwd, "migrations"));
    writeFileSync(join(cwd, "migrations/1_good.sql"), "create table good (id int);");
    writeFileSync(join(cwd, "migrations/2_bad.sql"), "create table bad (id int);\ncreate tabel worse (id int);");
    const port = await freePort();
    const cli = startCli(["--port", String(port), "--log-level", "debug", "--socket-dir", "."], { cwd });
    let reached = 0;
    let tries = 0;
    let over = false;
    const watching = (async () => {
      while (!over) {
        tries++;
        await reach(port).then(
          () => reached++,
          () => {},
        );
      }
    })();
    const end = await cli.ended;
    over = true;
    await watching;
    expect(end).toMatchObject({ code: 3, stdout: "" });
    expect(end.stderr).toContain("2_bad.sql");
    expect(end.stderr).toContain("42601");
    expect(end.stderr).not.toContain("listening");
    expect({ reached, enoughTries: tries > 20 }).toEqual({ reached: 0, enoughTries: true });
    expect(existsSync(join(cwd, `.s.PGSQL.${port}`))).toBe(false);
  });

  test("a failing seed: exit 3, for SQL as well as for a module", { tags: "long" }, async () => {
    const cwd = temporaryDirectory();
    writeFileSync(join(cwd, "seed.sql"), "insert into nowhere values (1);");
    writeFileSync(join(cwd, "seed.mjs"), "export default async function () { throw new Error('no seed today'); }");
    const db = initializedDirectory();
    const sql = await runCli(["--port", "0", "--db", db, "--seed", "seed.sql"], { cwd });
    expect(sql).toMatchObject({ code: 3, stdout: "", stderr: expect.stringContaining("seed.sql") });
    const module = await runCli(["--port", "0", "--db", db, "--seed", "seed.mjs"], { cwd });
    expect(module).toMatchObject({ code: 3, stdout: "", stderr: expect.stringContaining("no seed today") });
  });
});

/** Connects and hangs up. */
function reach(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", reject);
  });
}
