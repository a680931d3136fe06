/** Waits that are no locks: sleeping, clients that send or read slowly, notifications; and what ends any wait. */
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import type { SessionHost } from "../../../src/sessions/host.ts";
import type { SessionInput } from "../../../src/sessions/session.ts";
import { bytesInput } from "../../../src/sessions/session-context.ts";
import { encodeBind, encodeExecute, encodeMessage, encodeParse, encodeQuery } from "../../../src/wire/frontend.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { openHost } from "./support/open-host.ts";
import { SqlSession } from "./support/sql-session.ts";

let host: SessionHost;
let a: SqlSession;
let b: SqlSession;

beforeAll(async () => {
  host = await openHost({ dataDir: "memory://", maxSessions: 12 });
  [a, b] = [await SqlSession.open(host), await SqlSession.open(host)];
  await a.rows("create table t (id int primary key, v text); insert into t values (1, 'v')");
});
afterAll(() => host?.close());
beforeEach(async () => {
  for (const session of [a, b]) await session.rows("rollback");
});

test("pg_sleep does not stop others, and lasts as long as it says", async () => {
  const sleeping = await a.startsWaiting("select pg_sleep(1000)");
  expect(await b.rows("select 1")).toEqual(["1"]);
  expect(host.scheduler.isParked(a.session)).toBe(true);
  host.cancel(a.session);
  expect((await sleeping.answer).error).toBe("57014");
  const start = performance.now();
  await a.rows("select pg_sleep(0.3)");
  expect(performance.now() - start).toBeGreaterThanOrEqual(299);
});

test("one large value is taken piece by piece, and others run between the pieces", async () => {
  const value = "select string_agg(to_char(i, 'FM0000000'), '') from generate_series(1, 500000) i";
  const parts: Buffer[] = [];
  let takeOn: (() => void) | undefined;
  const output = (bytes: Uint8Array) => {
    parts.push(Buffer.from(bytes));
    if (bytes.length > 8192) return new Promise<void>((resolve) => (takeOn = resolve));
  };
  const running = a.session.run(bytesInput(encodeQuery(value)), output);
  let pieces = 0;
  for (; pieces < 13; pieces++) {
    await waitUntil("the next piece", () => takeOn !== undefined);
    expect(parts.at(-1)!.length).toBeLessThanOrEqual(1 << 18);
    expect(await b.rows("select length(repeat('y', 4000000))")).toEqual(["4000000"]);
    const go = takeOn!;
    takeOn = undefined;
    go();
  }
  while ((await Promise.race([running, Promise.resolve("still")])) === "still") {
    takeOn?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await running).toBe("I");
  const expected = Array.from({ length: 500_000 }, (_, i) => String(i + 1).padStart(7, "0")).join("");
  expect(Buffer.concat(parts).toString("latin1").includes(expected)).toBe(true);
});

test("before a session that computes goes on, it is said: answers that wait for the end of the turn would wait for it", async () => {
  const events: string[] = [];
  const { scheduler, machine } = host;
  const interruptPending = machine.address("InterruptPending") >> 2;
  // As the watchdog does with a turn that is old.
  host.isAskedToGiveWay = () => true;
  scheduler.onTurn = (session) => {
    if (session) events.push(session === a.session ? "computes" : "other");
    if (session === a.session) machine.words[interruptPending] = 1;
  };
  scheduler.onLongTurn = () => events.push("said");
  onTestFinished(() => {
    host.isAskedToGiveWay = () => false;
    scheduler.onTurn = undefined;
    scheduler.onLongTurn = undefined;
  });
  const long = a.rows("select count(*) from generate_series(1, 100000)");
  for (let i = 0; i < 20; i++) await b.rows("select 1");
  expect(await long).toEqual(["100000"]);
  const turns = events.join(" ");
  expect(turns).toContain("other said computes");
  expect(turns.replaceAll("said computes", "").match(/computes/g)).toHaveLength(1);
});

test("lock_timeout ends a wait for a lock with 55P03", async () => {
  await a.rows("begin; update t set v = 'A'");
  await b.rows("begin; set local lock_timeout = '50ms'");
  expect(await b.query("update t set v = 'B'")).toMatchObject({
    error: "55P03",
    message: expect.stringContaining("lock timeout"),
  });
});

test("statement_timeout ends a wait with 57014, also that of pg_sleep", async () => {
  await a.rows("begin; update t set v = 'A'");
  await b.rows("set statement_timeout = '50ms'");
  for (const statement of ["update t set v = 'B'", "select pg_sleep(30)"]) {
    expect(await b.query(statement)).toMatchObject({
      error: "57014",
      message: expect.stringContaining("statement timeout"),
    });
  }
  await b.rows("reset statement_timeout");
  expect(await b.rows("select pg_sleep(0.1)")).toEqual([""]);
});

test("the timeouts of an idle session end it with PostgreSQL's text", async () => {
  const cases = [
    ["idle_in_transaction_session_timeout", "begin", "25P03"],
    ["idle_session_timeout", "select 1", "57P05"],
    ["transaction_timeout", "begin", "25P04"],
  ];
  for (const [setting, statement, code] of cases) {
    const session = await SqlSession.open(host);
    await session.rows(`set ${setting} = '50ms'`);
    await session.rows(statement!);
    await waitUntil(`${setting} has ended the session`, () => session.outsideTypes() !== "");
    expect([setting, session.outsideError()]).toEqual([setting, code]);
  }
  expect(await b.rows("select 1")).toEqual(["1"]);
});

test("a clock that is set, or stood still while the machine slept, moves no timeout that begins later", async () => {
  const now = Date.now.bind(Date);
  for (const setBy of [3_600_000, -3_600_000]) {
    const clock = vi.spyOn(Date, "now").mockImplementation(() => now() + setBy);
    onTestFinished(() => clock.mockRestore());
    await a.rows("set statement_timeout = '100ms'");
    expect(await a.query("select pg_sleep(2)")).toMatchObject({ error: "57014" });
    await a.rows("set statement_timeout = '1h'");
    expect(await a.rows("select pg_sleep(0.1)")).toEqual([""]);
    await a.rows("reset statement_timeout");
    clock.mockRestore();
  }
});

test("a session that goes on in time is not ended by an idle timeout", async () => {
  const session = await SqlSession.open(host);
  await session.rows("set idle_session_timeout = '150ms'");
  for (let round = 0; round < 6; round++) expect(await session.rows("select pg_sleep(0.05)")).toEqual([""]);
  expect(session.session.state).toBe("idle");
  await session.rows("reset idle_session_timeout");
  await session.close();
});

test("a cancel ends a wait with 57014; one that comes too late does nothing", async () => {
  await a.rows("begin; update t set v = 'A'");
  const waiting = await b.startsWaiting("update t set v = 'B'");
  host.cancel(b.session);
  expect(await waiting.answer).toMatchObject({ error: "57014", message: expect.stringContaining("user request") });
  host.cancel(b.session);
  expect(await b.rows("select v from t")).toEqual(["v"]);
});

test("pg_cancel_backend and pg_terminate_backend reach other sessions", async () => {
  const sleeping = await b.startsWaiting("select pg_sleep(30)");
  expect(await a.rows(`select pg_cancel_backend(${b.session.pid})`)).toEqual(["t"]);
  expect((await sleeping.answer).error).toBe("57014");
  const busy = await SqlSession.open(host);
  const idle = await SqlSession.open(host);
  const ended = await busy.startsWaiting("select pg_sleep(30)");
  expect(
    await a.rows(`select pg_terminate_backend(${busy.session.pid}), pg_terminate_backend(${idle.session.pid})`),
  ).toEqual(["t|t"]);
  expect(await ended.answer).toMatchObject({ error: "57P01", status: "ended" });
  await waitUntil("the idle session has said why it ended", () => idle.outsideTypes() === "E");
  expect(await a.query(`select pg_terminate_backend(${idle.session.pid})`)).toMatchObject({ rows: ["f"] });
});

test("a notification reaches idle listeners at once, without a ReadyForQuery, and not the others", async () => {
  const [one, two] = [await SqlSession.open(host), await SqlSession.open(host)];
  await one.rows("listen news");
  await two.rows("listen other");
  await b.rows("listen news");
  await b.rows("begin");
  await a.rows("notify news, 'first'");
  await waitUntil("the notification has come", () => one.notifications().length > 0);
  expect(one.notifications()).toEqual(["news:first"]);
  expect(one.outsideTypes()).toBe("A");
  expect(two.outsideTypes()).toBe("");
  // In a transaction a backend keeps it until the end.
  expect(b.notifications()).toEqual([]);
  expect((await b.query("commit")).messageTypes).toContain("A");
  await Promise.all([one.close(), two.close()]);
});

test("pg_terminate_backend ends a session whose client takes neither its answer nor its notifications", async () => {
  for (const isIdle of [false, true]) {
    const session = await SqlSession.open(host);
    await session.rows("listen news");
    const never = () => new Promise<void>(() => {});
    session.session.client = never;
    if (isIdle) await a.rows("notify news, 'unread'");
    else void session.session.run(bytesInput(encodeQuery("select 1")), never);
    await session.parked();
    expect(await a.rows(`select pg_terminate_backend(${session.session.pid}, 10000)`)).toEqual(["t"]);
    expect(session.session.state).toBe("ended");
  }
});

test("what an idle session is told comes before the answer of its next batch", async () => {
  const session = await SqlSession.open(host);
  await session.rows("listen news");
  const order: string[] = [];
  session.session.client = () => void order.push("told");
  const notified = a.rows("notify news, 'first'");
  // The batch waits for the turn in which the notification is told.
  const select = bytesInput(encodeQuery("select 1"));
  const answered = session.session.run(select, () => void order.push("answered"));
  await Promise.all([notified, answered]);
  await waitUntil("the notification has come", () => order.includes("told"));
  expect(order).toEqual(["told", "answered"]);
  await session.close();
});

test("what an idle session is told in the middle of a pipeline does not end the pipeline", async () => {
  const session = await SqlSession.open(host);
  await session.rows("listen news");
  const insert = [encodeParse("", "insert into t values (70, 'pipeline')"), encodeBind("", "", []), encodeExecute("")];
  await session.send(Buffer.concat([...insert, encodeMessage("H")]));
  await a.rows("notify news, 'meanwhile'; select pg_reload_conf()");
  expect(await b.rows("select count(*) from t where id = 70")).toEqual(["0"]);
  const { messageTypes } = await session.send(encodeMessage("S"));
  expect(messageTypes).toContain("A");
  expect(await b.rows("delete from t where id = 70 returning v")).toEqual(["pipeline"]);
  await session.close();
});

test("a session that is closed before its COPY has its turn does not wait for the data", async () => {
  const session = await SqlSession.open(host);
  const busy = b.query("select 1");
  const query = bytesInput(encodeQuery("copy t from stdin"));
  const copy = session.send({
    get pending() {
      return query.pending;
    },
    // Nobody sends data any more.
    read: (length) => (query.pending ? query.read(length) : new Promise<Uint8Array>(() => {})),
  });
  let isClosed = false;
  const closed = session.close().then(() => {
    isClosed = true;
  });
  await busy;
  await waitUntil("the session is closed", () => isClosed, 5_000);
  await Promise.all([copy, closed]);
  expect(await b.rows(`select count(*) from pg_stat_activity where pid = ${session.session.pid}`)).toEqual(["0"]);
});

test("a slow sender of COPY data holds nobody up", async () => {
  const { input, push } = slowInput(encodeQuery("copy t from stdin"));
  const copy = a.send(input);
  await a.parked();
  push(encodeMessage("d", Buffer.from("10\tten\n")));
  expect(await b.rows("select count(*) from t")).toEqual(["1"]);
  await a.parked();
  push(Buffer.concat([encodeMessage("d", Buffer.from("11\televen\n")), encodeMessage("c")]), true);
  expect((await copy).messageTypes).toBe("GCZ");
  expect(await b.rows("select v from t where id > 9 order by id")).toEqual(["ten", "eleven"]);
});

test("a slow reader of a large result holds nobody up", async () => {
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let bytes = 0;
  const sent = encodeQuery("select repeat('x', 10000) from generate_series(1, 2000)");
  const run = a.session.run(once(sent), (part) => {
    bytes += part.length;
    return gate;
  });
  await a.parked();
  const before = bytes;
  expect(await b.rows("select 1")).toEqual(["1"]);
  expect(bytes).toBe(before);
  expect(before).toBeLessThan(100_000);
  release();
  expect(await run).toBe("I");
  expect(bytes).toBeGreaterThan(20_000_000);
});

test("two sessions that catch errors while they wait keep their stacks apart", async () => {
  const loop = (name: string) =>
    `do $$ begin for i in 1..40 loop begin perform pg_sleep(0.002); raise exception 'e%', i; exception when others then
      perform set_config('my.${name}', i::text, false); end; end loop; end $$`;
  await Promise.all([a.rows(loop("a")), b.rows(loop("b"))]);
  expect(await a.rows("show my.a")).toEqual(["40"]);
  expect(await b.rows("show my.b")).toEqual(["40"]);
});

function once(bytes: Uint8Array): SessionInput {
  let left: Uint8Array = bytes;
  return {
    get pending() {
      return left.length > 0;
    },
    read: (length) => {
      const part = left.subarray(0, length);
      left = left.subarray(length);
      return part;
    },
  };
}

/** An input that has `first` at once and the rest when it is pushed. */
function slowInput(first: Uint8Array) {
  let left: Uint8Array = first;
  let ended = false;
  let arrived: (() => void) | undefined;
  const take = (length: number) => {
    const part = left.subarray(0, length);
    left = left.subarray(length);
    return part;
  };
  const input: SessionInput = {
    get pending() {
      return left.length > 0;
    },
    read: async (length) => {
      while (left.length === 0 && !ended) await new Promise<void>((resolve) => (arrived = resolve));
      return take(length);
    },
  };
  const push = (bytes: Uint8Array, last = false) => {
    left = Buffer.concat([left, bytes]);
    ended = last;
    arrived?.();
  };
  return { input, push };
}
