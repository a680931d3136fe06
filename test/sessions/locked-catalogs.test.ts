/** Somebody has a catalog locked that every session reads before it has begun: what the server's own sessions do then. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { describe, expect, type TestContext, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { readClusterState } from "../support/control-file.ts";
import { waitUntil } from "../support/wait-until.ts";

/** Of tests that run at once each has its own. */
type OnFinished = TestContext["onTestFinished"];

function newDirectory(onFinished: OnFinished): string {
  const cwd = mkdtempSync(join(tmpdir(), "locked-catalogs-test-"));
  onFinished(() => rmSync(cwd, { recursive: true }));
  return cwd;
}

async function start(onFinished: OnFinished, options: Parameters<typeof startDevDb>[0] = {}): Promise<DevDb> {
  const cwd = newDirectory(onFinished);
  const db = await startDevDb({ port: 0, migrations: "none", cwd, log: () => {}, ...options });
  onFinished(() => db.close());
  return db;
}

async function connect(onFinished: OnFinished, url: string): Promise<pg.Client> {
  const client = new pg.Client(url);
  client.on("error", () => {});
  onFinished(() => client.end().catch(() => {}));
  await client.connect();
  // Its session has begun.
  await client.query("select 1");
  return client;
}

const exclusively = (catalog: string) => `lock table ${catalog} in access exclusive mode`;

/** Somebody has written, and has a catalog locked. */
async function locked(onFinished: OnFinished, db: DevDb, catalog: string) {
  const [holder, other] = [await connect(onFinished, db.url), await connect(onFinished, db.url)];
  await holder.query("create table kept (n int)");
  const before = await databases(other);
  await holder.query(`begin; insert into kept values (1); ${exclusively(catalog)}`);
  const { processID: pid } = holder as pg.Client & { processID: number };
  const refusal = {
    code: "55006",
    message: expect.stringMatching(
      `a lock that process ${pid} has on ${catalog} was waited for 5 s. .*its last statement: .*Have it commit or roll back`,
    ),
  };
  /** Resolves when `asked` is settled; the holder's statements are answered until then. */
  const served = async (asked: Promise<unknown>): Promise<void> => {
    let isOver = false;
    const end = () => {
      isOver = true;
    };
    asked.then(end, end);
    for (let n = 0; !isOver; n++) {
      expect((await holder.query("select $1::int as n", [n])).rows).toEqual([{ n }]);
      // The pace of a client; what ends the loop is the answer.
      await delay(50);
    }
  };
  return { holder, other, before, refusal, served };
}

const databases = async (client: pg.Client) =>
  (await client.query("select datname from pg_database order by oid")).rows.map(({ datname }) => datname as string);

/** Those of the server's own sessions. */
const ownSessions = (client: pg.Client) =>
  client.query("select pid from pg_stat_activity where pid < 1000 and datid is not null").then(({ rows }) => rows);

/** How many wait for a lock. */
const waiting = (client: pg.Client) =>
  client.query("select from pg_locks where not granted").then(({ rows }) => rows.length);

type Ask = (db: DevDb, client: pg.Client, onFinished: OnFinished) => Promise<unknown>;
const asks: [string, catalog: string, Ask][] = [
  ["db.branch()", "pg_class", (db) => db.branch("b")],
  ["select pglite_devdb.branch('b')", "pg_database", (_db, client) => client.query("select pglite_devdb.branch('b')")],
  ["a first connection", "pg_authid", (db, _client, onFinished) => connect(onFinished, `${db.url}~b`)],
];
describe.concurrent("what is asked of a branch is refused, nobody else waits, and the transaction goes on", () => {
  const refusesBranch = async (
    [, catalog, ask]: (typeof asks)[number],
    { onTestFinished: onFinished }: TestContext,
  ) => {
    const db = await start(onFinished, { branches: "on" });
    const { holder, other, before, refusal, served } = await locked(onFinished, db, catalog);
    const asked = ask(db, other, onFinished);
    const isRefused = expect(asked).rejects.toMatchObject(refusal);
    await served(asked);
    await isRefused;
    await holder.query("commit");
    expect((await other.query("select n from kept")).rows).toEqual([{ n: 1 }]);
    expect(await databases(other)).toEqual(before);
    expect(await ownSessions(other)).toEqual([]);
    await (await db.branch("b")).drop();
  };
  test.for(asks.slice(0, 1))("%s, with %s locked", refusesBranch);
  test.for(asks.slice(1))("%s, with %s locked", { tags: "long" }, refusesBranch);

  test("drop(), whose session has begun, with pg_shdepend locked", async ({ onTestFinished: onFinished }) => {
    const db = await start(onFinished, { branches: "on" });
    const branch = await db.branch("b");
    const { holder, refusal, served } = await locked(onFinished, db, "pg_shdepend");
    const asked = branch.drop();
    const isRefused = expect(asked).rejects.toMatchObject(refusal);
    await served(asked);
    await isRefused;
    await holder.query("commit");
    await branch.drop();
  });

  test("in a directory snapshots, and going back to one, too", { tags: "long" }, async ({
    onTestFinished: onFinished,
  }) => {
    const db = await start(onFinished, { db: "data", resets: "on" });
    await db.snapshot("one");
    const { holder, other, refusal, served } = await locked(onFinished, db, "pg_authid");
    const asked = Promise.allSettled([db.reset(), db.snapshot("two"), db.restore("one")]);
    await served(asked);
    const [reset, snapshot, restored] = await asked;
    for (const result of [reset, snapshot, restored]) expect(result).toMatchObject({ reason: refusal });
    await holder.query("commit");
    expect((await other.query("select n from kept")).rows).toEqual([{ n: 1 }]);
    expect((await databases(other)).filter((name) => name.includes("two") || /!(new|old)$/.test(name))).toEqual([]);
    await db.restore("one");
    expect((await other.query("select to_regclass('kept') as kept")).rows).toEqual([{ kept: null }]);
  });

  test("what would be prepared is not, without a word; later it is", { tags: "long" }, async ({
    onTestFinished: onFinished,
  }) => {
    const lines: string[] = [];
    const db = await start(onFinished, { log: (_level, text) => void lines.push(text) });
    const elsewhere = await connect(onFinished, db.url.replace(/postgres$/, "template1"));
    const prepared = async () => (await databases(elsewhere)).filter((name) => name.includes("~ready:"));
    const areReady = () =>
      waitUntil("two are prepared", async () => {
        // Nothing is prepared while somebody asks again and again.
        await delay(50);
        return (await prepared()).length === 2;
      });
    await (await db.branch()).drop();
    await areReady();
    await waitUntil("nothing is done any more", async () => (await ownSessions(elsewhere)).length === 0);
    const { holder } = await locked(onFinished, db, "pg_class");
    await elsewhere.query(`drop database "${(await prepared())[0]}"`);
    await waitUntil("a session waits", async () => (await waiting(elsewhere)) === 1);
    await waitUntil("it does not any more", async () => (await waiting(elsewhere)) === 0);
    await holder.query("commit");
    await (await db.branch()).drop();
    await areReady();
    expect(lines.filter((line) => line.includes("was waited for"))).toEqual([]);
  });
});

test("a stop is as ever where a prepared transaction has the catalog locked and a branch waits for it", async ({
  onTestFinished: onFinished,
}) => {
  const cwd = newDirectory(onFinished);
  const db = await start(onFinished, { cwd, db: "data" });
  const elsewhere = await connect(onFinished, db.url.replace(/postgres$/, "template1"));
  const { holder } = await locked(onFinished, db, "pg_class");
  const branch = db.branch().then(
    () => "made",
    () => "refused",
  );
  await waitUntil("it waits", async () => (await waiting(elsewhere)) === 1);
  await holder.query("prepare transaction 'p'");
  await db.close();
  expect([await branch, readClusterState(join(cwd, "data"))]).toEqual(["refused", "shut down"]);
});

test("in memory a reset ends that transaction as any other one; who listens, which cannot be read then, is told", async ({
  onTestFinished: onFinished,
}) => {
  const db = await start(onFinished, { resets: "on" });
  const listener = await connect(onFinished, db.url);
  const told = new Promise((resolve) => listener.on("error", resolve));
  await listener.query("listen news");
  const { holder } = await locked(onFinished, db, "pg_proc");
  const ended = new Promise((resolve) => holder.on("error", resolve));
  await db.reset();
  await ended;
  expect(await told).toMatchObject({ code: "57P01", detail: expect.stringContaining("they could not be read") });
});
