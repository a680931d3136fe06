/**
 * The transaction idle timeout with a session for each connection: who idles in a transaction while another session waits for
 * one of its locks is ended, and told who waited.
 *
 * Does not own: shared sessions, where the wait is for one's turn (`../concurrency/idle-in-transaction.test.ts`).
 */
import { describe, expect, test } from "vitest";
import { answer, servedDb } from "../support/dev-db.ts";
import { waitUntil } from "../support/wait-until.ts";
import { errorFields, message, rows, type WireClient } from "../support/wire-client.ts";

const transactionIdleTimeoutMs = 250;
const { query } = message;
const schema = "create table t (n int primary key, note text); insert into t values (1), (2), (3)";
const ended = async (client: WireClient) => errorFields(await client.untilEnd())!;

describe("with a transaction idle timeout", () => {
  const served = servedDb({ sessions: "isolated", transactionIdleTimeoutMs }, schema);
  const waiting = async (name: string) => {
    const observer = await served.login();
    const sql = `select wait_event_type from pg_stat_activity where application_name = '${name}'`;
    await waitUntil(`${name} waits for a lock`, async () => rows(await observer.query(sql))[0]?.[0] === "Lock");
  };

  test("the holder of a row lock is ended with an error that names both sides, and the other goes on", async () => {
    const holder = await served.login({ application_name: "worker" });
    const waiter = await served.login({ application_name: "api" });
    await holder.query("begin");
    await holder.query("update  t set note = 'held'\n where n = 1");
    waiter.send(query("update t set note = 'wanted' where n = 1"));
    const error = await ended(holder);
    expect([error.get("S"), error.get("C")]).toEqual(["FATAL", "25P03"]);
    expect(error.get("D")).toMatch(
      /^connection \d+ \("worker"\) was idle in a transaction for [\d.]+ s, last statement: update t set note = 'held' where n = 1; connection \d+ \("api"\) waited for one of its locks for [\d.]+ s with: update t set note = 'wanted' where n = 1\.$/,
    );
    expect(error.get("H")).toContain("transaction idle timeout");
    expect(await answer(waiter)).toBe("UPDATE 1");
    expect(rows(await waiter.query("select note from t where n = 1"))).toEqual([["wanted"]]);
  });

  test.each([
    ["a table", "lock table t", "select count(*) from t"],
    ["an advisory lock", "select pg_advisory_xact_lock(7)", "select pg_advisory_lock(7)"],
    ["a key that it has inserted", "insert into t values (100)", "insert into t values (100)"],
    ["a schema change", "select count(*) from t", "alter table t add column if not exists more int"],
  ])("so is the holder of %s", async (_, holds, wants) => {
    const holder = await served.login();
    const waiter = await served.login();
    await holder.query("begin");
    await holder.query(holds);
    waiter.send(query(wants));
    expect((await ended(holder)).get("C")).toBe("25P03");
    expect((await waiter.until("Z")).some(({ type }) => type === "E")).toBe(false);
  });

  // RowDescription, the head of DataRow and CommandComplete have 52 bytes of PostgreSQL's buffer of 8,192.
  test.each([0, 1, 2, 3, 4, 5])(
    "so is one whose ReadyForQuery left in two pieces: %i bytes and the rest",
    async (bytes) => {
      const holder = await served.login();
      const waiter = await served.login();
      await holder.query("begin; select pg_advisory_xact_lock(8)");
      await holder.query(`select repeat('x', ${8192 - 52 - bytes}) as n`);
      waiter.send(query("select pg_advisory_lock(8)"));
      expect((await ended(holder)).get("C")).toBe("25P03");
      expect(await answer(waiter)).toBe("");
      await waiter.query("select pg_advisory_unlock_all()");
    },
  );

  test("at the end of a chain of waits it is the idle one who is ended, not one that waits itself", async () => {
    const idle = await served.login();
    const middle = await served.login({ application_name: "middle" });
    const last = await served.login();
    await idle.query("begin; update t set note = 'idle' where n = 1");
    await middle.query("begin; update t set note = 'middle' where n = 2");
    middle.send(query("update t set note = 'middle' where n = 1"));
    await waiting("middle");
    last.send(query("update t set note = 'last' where n = 2"));
    expect((await ended(idle)).get("C")).toBe("25P03");
    expect(await answer(middle)).toBe("UPDATE 1");
    // Now it idles itself, and somebody waits for it.
    expect((await ended(middle)).get("C")).toBe("25P03");
    expect(await answer(last)).toBe("UPDATE 1");
  });

  test("who holds a lock that conflicts with nobody's is left alone, whoever else is waited for", async () => {
    const bystander = await served.login();
    const working = await served.login();
    const waiter = await served.login();
    await bystander.query("begin; select count(*) from t");
    await working.query("begin; lock table t in share mode");
    // Longer than the timeout, and no idling.
    working.send(query(`select pg_sleep(${(4 * transactionIdleTimeoutMs) / 1000})`));
    waiter.send(query("insert into t values (200)"));
    expect(await answer(working)).toBe("");
    expect(await answer(await commit(working))).toBe("COMMIT");
    expect(await answer(waiter)).toBe("INSERT 0 1");
    expect(await answer(await commit(bystander))).toBe("COMMIT");
  });

  test("a transaction that goes on is not idle, however long another one waits for it", async () => {
    const holder = await served.login();
    const waiter = await served.login();
    await holder.query("begin; update t set note = 'again' where n = 3");
    waiter.send(query("update t set note = 'later' where n = 3"));
    const pieces = 8;
    for (let piece = 0; piece < pieces; piece++) {
      await holder.query(`select pg_sleep(${transactionIdleTimeoutMs / 2000})`);
    }
    expect(await answer(await commit(holder))).toBe("COMMIT");
    expect(await answer(waiter)).toBe("UPDATE 1");
  });
});

describe("by default", () => {
  const served = servedDb({ sessions: "isolated" }, schema);

  test("nobody is ended: the other waits as long as its lock_timeout says", async () => {
    const holder = await served.login();
    const waiter = await served.login();
    await holder.query("begin; update t set note = 'held' where n = 1");
    await waiter.query("set lock_timeout = '1s'");
    waiter.send(query("update t set note = 'wanted' where n = 1"));
    expect(await answer(waiter)).toBe("55P03");
    expect(await answer(await commit(holder))).toBe("COMMIT");
  });
});

async function commit(client: WireClient): Promise<WireClient> {
  client.send(query("commit"));
  return client;
}
