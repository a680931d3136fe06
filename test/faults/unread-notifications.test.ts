/** A client that has said LISTEN and does not read: its backend waits at its socket, as in PostgreSQL, and what it is to be told stays in PostgreSQL's queue. */
import { expect, onTestFinished, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { errorFields, rows, WireClient } from "../support/wire-client.ts";

const payloadBytes = 7900;
/** More than the sockets' buffers and the queue of 4 MB can have. */
const most = 10_000;
/** The backend meets the full socket in the middle of many, or behind one. */
const together = [250, 1];

async function start(): Promise<DevDb> {
  const db = await startDevDb({ port: 0, migrations: "none", set: ["max_notify_queue_pages=512"], log: () => {} });
  onTestFinished(() => db.close());
  return db;
}

async function login(db: DevDb): Promise<WireClient> {
  const client = await WireClient.login(db);
  onTestFinished(() => client.destroy());
  return client;
}

/** A client that listens and has stopped reading, and its process ID. */
async function deafListener(db: DevDb): Promise<{ readonly listener: WireClient; readonly pid: string }> {
  const listener = await login(db);
  const pid = rows(await listener.query("select pg_backend_pid()"))[0]![0]!;
  await listener.query("listen ch");
  listener.socket.pause();
  return { listener, pid };
}

/** Notifies until PostgreSQL refuses to; the SQLSTATE, and how many notifications were accepted. */
async function fillQueue(
  talker: WireClient,
  count: number,
): Promise<{ readonly code: string | undefined; readonly sent: number }> {
  for (let sent = 0; sent < most; sent += count) {
    const numbers = `generate_series(${sent + 1}, ${sent + count}) g`;
    const answer = await talker.query(`select pg_notify('ch', g || repeat('y', ${payloadBytes})) from ${numbers}`);
    const error = errorFields(answer);
    if (error) return { code: error.get("C"), sent };
  }
  return { code: undefined, sent: most };
}

test.each(together)(
  "a listener that does not read gets its notifications later, and NOTIFY is refused when the queue is full (%i at once)",
  async (count) => {
    const db = await start();
    const { listener } = await deafListener(db);
    const talker = await login(db);
    const { code, sent } = await fillQueue(talker, count);
    expect(code).toBe("54000");
    expect(Number(rows(await talker.query("select pg_notification_queue_usage()"))[0]![0])).toBeGreaterThan(0.5);

    listener.socket.resume();
    const heard = (await listener.until("A", sent)).map(({ body }) => Number.parseInt(body.toString("latin1", 7), 10));
    expect(heard).toEqual(Array.from({ length: sent }, (_, at) => at + 1));
    expect(rows(await listener.query("select 1"))).toEqual([["1"]]);
    // PostgreSQL gives back what was read when it is asked for this.
    expect(rows(await talker.query("select pg_notification_queue_usage()"))).toEqual([["0"]]);
    expect(errorFields(await talker.query("notify ch, 'again'"))).toBeUndefined();
    expect((await listener.until("A")).at(-1)!.body.toString("latin1", 4)).toBe("ch\0again\0");
  },
);

test.each(together)("pg_terminate_backend ends a listener that does not read (%i at once)", async (count) => {
  const db = await start();
  const { pid } = await deafListener(db);
  const talker = await login(db);
  await fillQueue(talker, count);
  expect(rows(await talker.query(`select pg_terminate_backend(${pid}, 10000)`))).toEqual([["t"]]);
  expect(rows(await talker.query(`select count(*) from pg_stat_activity where pid = ${pid}`))).toEqual([["0"]]);
});

test.each(together)("a reset ends a listener that has not read what it was told (%i at once)", async (count) => {
  const db = await start();
  const { pid } = await deafListener(db);
  const talker = await login(db);
  await fillQueue(talker, count);
  await db.reset();
  expect(rows(await talker.query(`select count(*) from pg_stat_activity where pid = ${pid}`))).toEqual([["0"]]);
});
