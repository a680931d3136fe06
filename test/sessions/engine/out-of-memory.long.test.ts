/**
 * A session that wants more memory than there is gets PostgreSQL's error 53200; nobody else notices.
 *
 * @module-tag long
 */
import { expect, test } from "vitest";
import type { SessionHost } from "../../../src/sessions/host.ts";
import { unitBytes, Window } from "../../../src/sessions/windows.ts";
import { openHost } from "./support/open-host.ts";
import { SqlSession } from "./support/sql-session.ts";

const megabyte = 1 << 20;
const tooMuch = "select length(string_agg(repeat('x', 1000000), '')) from generate_series(1, 900)";

test("a statement that needs too much is an error of that statement; what it had is free again at the session's end", async () => {
  const host = await openHost({ dataDir: "memory://", maxSessions: 40, memoryBytes: 500 * megabyte });
  const [large, other] = [await SqlSession.open(host), await SqlSession.open(host)];
  await other.rows("create table t (x int); begin; insert into t values (1)");
  const free = host.windows.available;
  for (let round = 0; round < 3; round++) {
    expect(await large.query(tooMuch)).toMatchObject({ error: "53200", message: "out of memory", status: "I" });
    expect(await large.rows("select 1")).toEqual(["1"]);
  }
  await large.rows("begin; create temp table mine (x int); savepoint s");
  expect((await large.query(tooMuch)).error).toBe("53200");
  await large.rows("rollback to s; insert into mine values (7)");
  // While it holds all that it may have, others come, work and go.
  expect(host.windows.available).toBeLessThan(free - 100 * megabyte);
  const more = await Promise.all(Array.from({ length: 30 }, () => SqlSession.open(host)));
  for (const session of more) expect(await session.rows("select length(repeat('x', 1000000))")).toEqual(["1000000"]);
  expect(await other.rows("commit; select count(*) from t")).toEqual(["1"]);
  expect(await large.rows("commit; select x from mine")).toEqual(["7"]);
  for (const session of more) await session.close();
  await large.close();
  expect(host.windows.available).toBeGreaterThan(free);
  expect(await other.rows("select count(*) from t")).toEqual(["1"]);
  await host.close();
});

/** Opens sessions until there is no memory for another one. */
async function fill(host: SessionHost): Promise<{ sessions: SqlSession[]; refusal: string }> {
  const sessions: SqlSession[] = [];
  for (;;) {
    const session = await SqlSession.open(host).catch((error: Error) => error.message);
    if (typeof session === "string") return { sessions, refusal: session };
    sessions.push(session);
  }
}

test("a session for which there is no memory is refused, by PostgreSQL; when another one ends there is room again", async () => {
  const host = await openHost({ dataDir: "memory://", maxSessions: 200, memoryBytes: 128 * megabyte });
  for (let round = 0; round < 3; round++) {
    const before = host.openSessions;
    const { sessions, refusal } = await fill(host);
    expect(refusal).toBe("out of memory");
    expect(host.openSessions).toBe(before + sessions.length);
    expect(sessions.length).toBeGreaterThan(10);
    for (const session of sessions.slice(0, 5)) {
      expect((await session.query("select count(*) from pg_class")).error).toBeOneOf([undefined, "53200"]);
    }
    await sessions.pop()!.close();
    const again = await SqlSession.open(host);
    expect(await again.rows("select 1")).toEqual(["1"]);
    for (const session of [again, ...sessions]) await session.close();
  }
  await host.close();
});

test("wherever in its start a session finds no memory, it is refused and nobody else notices", async () => {
  const host = await openHost({ dataDir: "memory://", maxSessions: 9, memoryBytes: 128 * megabyte });
  const session = await SqlSession.open(host);
  await session.rows("create table t (x int)");
  const refusals: string[] = [];
  for (let units = 0; units < 26; units++) {
    const giveBack = await host.scheduler.take(session.session, () => leave(host, units * unitBytes));
    const opened = await SqlSession.open(host).catch((error: Error) => error.message);
    if (typeof opened === "string") refusals.push(opened);
    else await opened.close();
    expect(await session.rows("insert into t values (1) returning x")).toEqual(["1"]);
    await host.scheduler.take(session.session, giveBack);
  }
  expect(refusals.length).toBeGreaterThan(4);
  expect(new Set(refusals)).toEqual(new Set(["out of memory"]));
  await session.close();
  await host.close();
});

/** Takes all free memory but so many bytes, while a session is loaded; answers how to give it back. */
function leave({ machine, windows }: SessionHost, bytes: number): () => void {
  const hogs: Window[] = [];
  const address = machine.function("emscripten_get_sbrk_ptr")();
  const programBreak = machine.words[address >> 2]!;
  while (windows.available > bytes) {
    const hog = new Window();
    hogs.push(hog);
    if (windows.sbrk(hog, Math.min(megabyte, windows.available - bytes)) < 0) throw new Error("a hog was refused");
  }
  machine.setWord(address, programBreak);
  return () => {
    for (const hog of hogs) {
      machine.setWord(address, hog.extents.at(-1)!.end);
      windows.close(hog);
    }
    machine.setWord(address, programBreak);
  };
}
