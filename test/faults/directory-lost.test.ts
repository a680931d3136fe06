/**
 * A server whose data directory is not its own any more: it was removed, moved, unmounted or taken over. It says so, ends,
 * and leaves whatever is there now alone.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { lockName } from "../../src/engine/data-directory/directory-lock.ts";
import { type CliEnd, type CliProcess, startCli } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

interface Server {
  readonly cli: CliProcess;
  readonly client: pg.Client;
  /** Of the client's connection. */
  readonly errors: (Error & { code?: string; detail?: string })[];
}

beforeAll(initializeTemplate);

async function serve(db: string): Promise<Server> {
  const options = ["--port", "0", "--migrations", "none", "-o", "json", "--db", db];
  const cli = startCli(options);
  const { url } = JSON.parse((await cli.line(/^.*\n/))[0]!) as { url: string };
  const client = new pg.Client(url);
  const errors: Server["errors"] = [];
  client.on("error", (error) => errors.push(error));
  await client.connect();
  onTestFinished(() => client.end().catch(() => {}));
  return { cli, client, errors };
}

/** A server whose table `a` has these rows. */
async function serveRows(db: string, rows = 1000): Promise<Server> {
  const server = await serve(db);
  await insert(server, rows);
  return server;
}

async function insert({ client }: Server, rows: number): Promise<void> {
  await client.query(`create table if not exists a (n int primary key, t text)`);
  await client.query(`insert into a select n, repeat('x', 500) from generate_series(1, ${rows}) n`);
}

/** Its end, which must come by itself. */
async function endOf({ cli }: Server): Promise<CliEnd> {
  let end: CliEnd | undefined;
  void cli.ended.then((how) => {
    end = how;
  });
  await waitUntil("the server that has lost its directory ends", () => end !== undefined);
  return end!;
}

async function expectLost(server: Server, what: string): Promise<void> {
  const { code, stderr } = await endOf(server);
  expect(stderr).toContain(what);
  expect(stderr).toContain("is not this server's data directory any more");
  expect(code).toBe(5);
}

/** Stops it in order, starts it again, and looks whether exactly these rows are in it, also by the index. */
async function expectSound(server: Server, db: string, rows: number): Promise<void> {
  await server.client.query("checkpoint");
  await stop(server);
  const again = await serve(db);
  const counted = await again.client.query("select count(*)::int as n, sum(length(t))::int as t from a");
  expect(counted.rows).toEqual([{ n: rows, t: rows * 500 }]);
  await again.client.query("set enable_seqscan = off");
  const indexed = await again.client.query("select count(*)::int as n from a where n between 1 and 1000000");
  expect(indexed.rows).toEqual([{ n: rows }]);
  await stop(again);
}

async function stop({ cli, client }: Server): Promise<void> {
  await client.end();
  cli.child.kill("SIGTERM");
  expect((await cli.ended).code).toBe(143);
}

test("rm -rf: its clients are told, it ends with 5; a new server on the path is not touched", async () => {
  const db = initializedDirectory();
  const old = await serveRows(db);
  rmSync(db, { recursive: true });
  const next = await serveRows(db, 500);
  await expectLost(old, "has been removed");
  await waitUntil("the client of the old server was told", () => old.errors.length > 0);
  expect(old.errors[0]).toMatchObject({ code: "57P01", detail: expect.stringContaining("has been removed") });
  await expectSound(next, db, 500);
});

test.each(["SIGTERM", "SIGKILL"] as const)(
  "rm -rf while it is stopped; continued with a statement to run, and %s: the new server is not touched",
  { tags: "long" },
  async (signal) => {
    const db = initializedDirectory();
    const old = await serveRows(db);
    old.cli.child.kill("SIGSTOP");
    rmSync(db, { recursive: true });
    const next = await serveRows(db, 500);
    const late = old.client.query("insert into a select n, 'late' from generate_series(5001, 9000) n; checkpoint");
    const answer = late.then(
      () => "answered",
      (error: Error) => error,
    );
    old.cli.child.kill("SIGCONT");
    if (signal === "SIGKILL") await answer;
    old.cli.child.kill(signal);
    const end = await endOf(old);
    if (signal === "SIGTERM")
      expect(end).toMatchObject({ code: 5, stderr: expect.stringContaining("has been removed") });
    expect(await answer).toBeInstanceOf(Error);
    await expectSound(next, db, 500);
  },
);

test("mv: it ends and says where its directory is; there all that was committed is, and nothing of a new server", {
  tags: "long",
}, async () => {
  const db = initializedDirectory();
  const old = await serveRows(db);
  const moved = `${db}.old`;
  renameSync(db, moved);
  const next = await serveRows(db, 500);
  await expectLost(old, `it has been moved to ${moved}`);
  await expectSound(next, db, 500);
  const found = await serve(moved);
  expect((await found.client.query("select count(*)::int as n from a")).rows).toEqual([{ n: 1000 }]);
  await stop(found);
});

test("the lock removed and taken by another server: it ends without another word to the files", {
  tags: "long",
}, async () => {
  const db = initializedDirectory();
  const old = await serveRows(db);
  await old.client.query("checkpoint");
  old.cli.child.kill("SIGSTOP");
  rmSync(join(db, lockName), { recursive: true });
  const next = await serve(db);
  await next.client.query("insert into a select n, repeat('x', 500) from generate_series(1001, 1500) n");
  const late = old.client.query("insert into a select n, 'late' from generate_series(5001, 9000) n");
  const answer = late.then(
    () => "answered",
    (error: Error) => error,
  );
  old.cli.child.kill("SIGCONT");
  await expectLost(old, `its lock has been removed and taken by another server (process ${next.cli.pid})`);
  expect(await answer).toBeInstanceOf(Error);
  expect(readdirSync(join(db, lockName)).filter((name) => name.endsWith(".json"))).toHaveLength(1);
  await expectSound(next, db, 1500);
});

test("an empty directory in its place, as after an unmount, stays empty", { tags: "long" }, async () => {
  const db = initializedDirectory();
  const old = await serveRows(db);
  renameSync(db, `${db}.mounted`);
  mkdirSync(db, { mode: 0o700 });
  await old.client.query("select count(*) from a").catch(() => {});
  const other = new pg.Client({ ...connectionOf(old) });
  other.on("error", () => {});
  await other.connect().then(
    () => other.query("create table b (n int)").catch(() => {}),
    () => {},
  );
  await other.end().catch(() => {});
  await expectLost(old, "and another one is in its place");
  expect(readdirSync(db)).toEqual([]);
});

test("removed while somebody connects: no new database is made there, also by a new engine", {
  tags: "long",
}, async () => {
  const db = initializedDirectory();
  const old = await serveRows(db);
  rmSync(db, { recursive: true });
  for (let attempt = 0; attempt < 3; attempt++) {
    const client = new pg.Client({ ...connectionOf(old), database: "template1" });
    client.on("error", () => {});
    await client.connect().catch(() => {});
    await client.end().catch(() => {});
  }
  await expectLost(old, "has been removed");
  expect(existsSync(db)).toBe(false);
});

test("SIGTERM right after its removal: it ends with 5, and makes no checkpoint", { tags: "long" }, async () => {
  const db = initializedDirectory();
  const old = await serveRows(db);
  renameSync(db, `${db}.old`);
  const control = readFileSync(join(`${db}.old`, "global", "pg_control"));
  old.cli.child.kill("SIGTERM");
  await expectLost(old, "it has been moved to");
  expect(readFileSync(join(`${db}.old`, "global", "pg_control"))).toEqual(control);
  expect(existsSync(db)).toBe(false);
});

test("the command of `run` is ended, and run exits with 5", { tags: "long" }, async () => {
  const db = initializedDirectory();
  const options = ["run", "--port", "0", "--migrations", "none", "--db", db];
  const command = ["--", process.execPath, "-e", "console.log('runs'); setInterval(() => {}, 1000)"];
  const cli = startCli([...options, ...command]);
  await cli.line(/runs/);
  rmSync(db, { recursive: true });
  await expectLost({ cli } as Server, "has been removed");
});

function connectionOf({ client }: Server): pg.ClientConfig {
  return { host: client.host, port: client.port, user: "postgres", password: "postgres", database: "postgres" };
}
