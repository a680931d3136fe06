/** What must hold whenever a session is called: when it does not, the engine ends instead of answering wrongly. */
import { expect, test } from "vitest";
import { openHost } from "./support/open-host.ts";
import { SqlSession } from "./support/sql-session.ts";

test("a session that meets the memory of another backend ends the engine", async () => {
  const host = await openHost({ dataDir: "memory://", maxSessions: 3 });
  const { machine, scheduler } = host;
  const session = await SqlSession.open(host);
  // As if its image had become that of another one.
  await scheduler.take(session.session, () => machine.setWord(machine.address("MyProcPid"), 4711));
  // A session that has crashed settles nothing any more.
  void session.query("select 1");
  expect(String(await host.crash)).toContain("with the memory of another backend loaded");
});

test("after a crash nothing runs any more, neither what waits nor what is asked for", async () => {
  const host = await openHost({ dataDir: "memory://", maxSessions: 4 });
  const [waiting, idle] = [await SqlSession.open(host), await SqlSession.open(host)];
  const other = await SqlSession.open(await openHost({ dataDir: "memory://", maxSessions: 1 }));
  const { answer } = await waiting.startsWaiting("select pg_sleep(0.05)");
  // One that is noticed outside of all turns.
  void host.crashed(new Error("nobody expected this"));
  expect(String(await host.crash)).toContain("nobody expected this");
  let turns = 0;
  // One that has begun before may end.
  host.scheduler.onTurn = (session) => {
    if (session) turns++;
  };
  const asked = idle.query("select 1");
  // Another engine on the same thread comes to the ends of such waits that began later.
  for (let n = 0; n < 2; n++) expect(await other.rows("select pg_sleep(0.05)")).toEqual([""]);
  expect(turns).toBe(0);
  expect(await Promise.race([answer, asked, "none"])).toBe("none");
});
