/**
 * CancelRequest: ends exactly the statement that it means, or what waits, or nothing.
 */
import { describe, expect, test } from "vitest";
import { outline, productServer } from "../support/product-server.ts";
import { Random, runSeed } from "../support/random.ts";
import { report } from "../support/report.ts";
import { errorFields, message, rows, types } from "../support/wire-client.ts";

const endless = {
  "a wait": "select pg_sleep(1000)",
  "an aggregate": "select count(*) from generate_series(1, 1000000000)",
  "a cross join": "select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b",
  "a loop": "do $$begin loop end loop; end$$",
  "a loop that swallows errors": "do $$begin loop begin perform 1/0; exception when others then end; end loop; end$$",
  "a recursive query": "with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r",
  "a big sort":
    "set work_mem = '200MB'; select count(*) from (select random() r from generate_series(1, 100000000) order by 1) x",
  "an index build":
    "create temp table big as select random() r from generate_series(1, 300000); do $$begin loop create index i on big (r); drop index i; end loop; end$$",
};

const cancels = Number(process.env.CANCELS ?? 400);

const server = productServer();

describe("cancels", () => {
  test.each(Object.entries(endless))("%s, with 57014, and the session goes on", async (_, sql) => {
    const { client, processId, secretKey } = await server.loginWithKey();
    const answer = client.query(sql);
    await server.running(processId);
    // It is in the middle of its work when others have had their turns.
    const other = await server.login();
    for (let turn = 0; turn < 10; turn++) await other.query("select 1");
    await server.cancel(processId, secretKey);
    const messages = await answer;
    expect(errorFields(messages)?.get("C")).toBe("57014");
    expect(errorFields(messages)?.get("M")).toContain("user request");
    expect(rows(await client.query("select 1"))).toEqual([["1"]]);
    await client.query("discard all");
  });

  test("in a transaction, which is then aborted and can be rolled back", async () => {
    const { client, processId, secretKey } = await server.loginWithKey();
    await client.query("begin");
    const answer = client.query(endless["a loop"]);
    await server.running(processId);
    await server.cancel(processId, secretKey);
    expect(outline(await answer)).toBe("E(57014)ZE");
    expect(outline(await client.query("select 1"))).toBe("E(25P02)ZE");
    expect(outline(await client.query("rollback"))).toBe("CZI");
  });

  test("one of the extended protocol, and skips to its Sync", async () => {
    const { client, processId, secretKey } = await server.loginWithKey();
    client.send(
      message.parse("", endless["a wait"]),
      message.bind("", ""),
      message.execute(""),
      message.parse("", "select 1"),
      message.sync(),
    );
    await server.running(processId);
    await server.cancel(processId, secretKey);
    // As in PostgreSQL it may come before the Execute, too: then as an error of the Parse or the Bind.
    expect(outline(await client.until("Z"))).toMatch(/^1?2?E\(57014\)ZI$/);
    expect(rows(await client.query("select 1"))).toEqual([["1"]]);
  });

  test("only the first of two queries that came together", async () => {
    const { client, processId, secretKey } = await server.loginWithKey();
    client.send(message.query(endless["an aggregate"]), message.query("select 2"));
    await server.running(processId);
    await server.cancel(processId, secretKey);
    expect(outline(await client.until("Z"))).toContain("E(57014)");
    expect(rows(await client.until("Z"))).toEqual([["2"]]);
  });
});

describe("does nothing", () => {
  test.each([
    ["with a wrong key", (processId: number, key: Buffer) => [processId, key.map((byte) => byte ^ 1)] as const],
    ["with another connection's key", (processId: number, key: Buffer) => [processId + 100_000, key] as const],
    ["with a key that is too short", (processId: number, key: Buffer) => [processId, key.subarray(0, 3)] as const],
    [
      "with a key that is too long",
      (processId: number, key: Buffer) => [processId, Buffer.concat([key, key])] as const,
    ],
  ])("%s", async (_, wrong) => {
    const { client, processId, secretKey } = await server.loginWithKey();
    const holder = await server.login();
    await holder.query("select pg_advisory_lock(1)");
    const answer = client.query("select pg_advisory_lock(1)");
    await server.running(processId);
    const [otherId, otherKey] = wrong(processId, secretKey);
    await server.cancel(otherId, Buffer.from(otherKey)).catch(() => {});
    // It waits until here, so that a cancel would have found it.
    expect(await server.stateOf(processId)).toMatch(/running|waiting/);
    await holder.query("select pg_advisory_unlock(1)");
    expect(types(await answer)).toBe("TDCZ");
  });

  test("to a connection that is idle, nor to its next statement", async () => {
    const { client, processId, secretKey } = await server.loginWithKey();
    await client.query("select 1");
    for (let i = 0; i < 20; i++) {
      await server.cancel(processId, secretKey);
      expect(types(await client.query("select pg_sleep(0.001)"))).toBe("TDCZ");
    }
  });

  test("to others, whatever they run meanwhile", async () => {
    const { client, processId, secretKey } = await server.loginWithKey();
    const other = await server.login();
    for (let i = 0; i < 20; i++) {
      const answer = client.query(endless["a wait"]);
      const others = other.query("select pg_sleep(0.001)");
      await server.running(processId);
      await server.cancel(processId, secretKey);
      expect(outline(await answer)).toContain("E(57014)");
      expect(types(await others)).toBe("TDCZ");
    }
  });
});

test(`${cancels} cancels at random moments: each ends its statement and none the next (seed ${runSeed})`, async () => {
  const random = new Random(runSeed);
  const { client, processId, secretKey } = await server.loginWithKey();
  const statements = [
    endless["a wait"],
    endless["an aggregate"],
    endless["a loop"],
    endless["a loop that swallows errors"],
  ];
  let slowest = 0;
  for (let i = 0; i < cancels; i++) {
    const answer = client.query(statements[i % statements.length]!);
    await server.running(processId);
    await new Promise((resolve) => setTimeout(resolve, random.below(5)));
    const began = performance.now();
    const [messages] = await Promise.all([answer, server.cancel(processId, secretKey)]);
    slowest = Math.max(slowest, performance.now() - began);
    expect(outline(messages)).toMatch(/^T?E\(57014\)ZI$/);
    expect(rows(await client.query(`select ${i}`))).toEqual([[String(i)]]);
  }
  report(`the slowest of ${cancels} cancels took ${slowest.toFixed(1)} ms from request to answer (seed ${runSeed})`);
});

test("a cancel still works after the engine's memory has grown", async () => {
  const { client, processId, secretKey } = await server.loginWithKey();
  await client.query("set work_mem = '400MB'");
  await client.query("select count(*) from (select repeat('x', 200) from generate_series(1, 1000000) order by 1) x");
  const answer = client.query(endless["a loop"]);
  await server.running(processId);
  await server.cancel(processId, secretKey);
  expect(outline(await answer)).toBe("E(57014)ZI");
  await client.query("reset work_mem");
});
