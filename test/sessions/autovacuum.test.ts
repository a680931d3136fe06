/** Autovacuum as a user has it: it goes before nothing that is asked of the server. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { connect } from "../support/query.ts";
import { waitUntil } from "../support/wait-until.ts";
import { autovacuumAtWork, isAtWork, looksOften, slowTable } from "./support/autovacuum-at-work.ts";

const directory = mkdtempSync(join(tmpdir(), "autovacuum-"));
afterAll(() => rmSync(directory, { recursive: true }));
const trace = join(directory, "trace");
const log: string[] = [];

const start = (options: Parameters<typeof startDevDb>[0] = {}) =>
  startDevDb({ port: 0, migrations: "none", set: looksOften, ...options });

async function startTraced(): Promise<DevDb> {
  const seed = async (url: string) => {
    const client = new pg.Client(url);
    await client.connect();
    await client.query(slowTable);
    await client.end();
  };
  const keep = (level: string, line: string) => {
    // A busy machine is none of what the log is looked at for.
    if (level !== "debug" && !line.startsWith("still starting")) log.push(line);
  };
  const db = await start({ trace, seed, log: keep });
  onTestFinished(() => db.close());
  return db;
}

test("branches, snapshots, resets, a clock that goes back and the end do not wait for it; a trace has nothing of it", {
  tags: "long",
}, async () => {
  const db = await startTraced();
  for (const work of [
    async () => (await db.branch()).drop(),
    () => db.snapshot("one"),
    () => db.restore("one"),
    () => db.reset(),
    async () => {
      await db.clock.advance({ hours: 1 });
      await waitUntil("the client has gone", async () => (await db.stats()).connections.length === 0);
      await db.clock.reset();
    },
    () => db.close(),
  ]) {
    const client = await connect(db.url);
    await autovacuumAtWork(client);
    await client.end();
    await work();
  }
  const recorded = readFileSync(trace, "utf8");
  expect(recorded).toContain('"s":"turn"');
  expect(recorded).not.toContain('"p":995');
  expect(log).toEqual([]);
});

test("it has none of the connections", async () => {
  const own = await start({ maxConnections: 3, log: () => {} });
  const client = await connect(own.url);
  await client.query(slowTable);
  await autovacuumAtWork(client);
  const more = [await connect(own.url), await connect(own.url)];
  await expect(connect(own.url)).rejects.toThrow("too many");
  await more[0]!.end();
  await waitUntil("its place is free", async () => (await own.stats()).connections.length === 2);
  await autovacuumAtWork(client);
  await own.close();
});

test("there is none with a seed for random numbers, in discrete time, and where it is off", {
  tags: "long",
}, async () => {
  const other = await start({ log: () => {} });
  const control = await connect(other.url);
  await control.query(slowTable);
  for (const [options, isDiscrete] of [
    [{ seedRandom: 1 }, false],
    [{ set: [...looksOften, "autovacuum=off"] }, false],
    [{}, true],
  ] as const) {
    const own = await start({ log: () => {}, ...options });
    const client = await connect(own.url);
    await client.query(slowTable);
    if (isDiscrete) await own.clock.discrete(true);
    await client.query("insert into slow select generate_series(1, 500); select pg_stat_force_next_flush()");
    // A server that has one and is asked for it afterwards comes to it, twice: a snapshot ends what it does.
    for (let n = 0; n < 2; n++) {
      await other.snapshot("ended");
      expect(await isAtWork(control)).toBe(false);
      await autovacuumAtWork(control);
    }
    expect(await isAtWork(client)).toBe(false);
    await own.close();
  }
  await other.close();
});
