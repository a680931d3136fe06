/**
 * A statement that computes lets the others run, where each client has a session of its own.
 */
import { afterEach, describe, expect, test } from "vitest";
import { productServer } from "../support/product-server.ts";
import { report } from "../support/report.ts";
import { errorFields, message, rows, type WireClient } from "../support/wire-client.ts";

const sort =
  "select count(*), sum(x) from (select (i::bigint * 7919) % 100003 as x from generate_series(1, 1000000) i order by 1) q";
const endless = "do $$begin loop end loop; end$$";

describe("while a client sorts", () => {
  const server = productServer();
  let sorting: Promise<unknown> = Promise.resolve();
  afterEach(() => sorting);

  /** Starts the sort; tells whether it goes on. */
  async function sorts(): Promise<() => boolean> {
    const { client, processId } = await server.loginWithKey();
    let goesOn = true;
    sorting = client.query(sort).then((answer) => {
      goesOn = false;
      expect(rows(answer)).toEqual([["1000000", "50000944645"]]);
    });
    await expect.poll(() => server.stateOf(processId)).toBe("running");
    return () => goesOn;
  }

  async function answeredWhile(goesOn: () => boolean, ask: () => Promise<unknown>): Promise<number[]> {
    const took: number[] = [];
    while (goesOn()) {
      const began = performance.now();
      await ask();
      if (goesOn()) took.push(performance.now() - began);
    }
    return took.sort((one, other) => one - other);
  }

  test("another one is answered many times", async () => {
    const other = await server.login();
    await other.query("select 1");
    const took = await answeredWhile(await sorts(), async () => {
      expect(rows(await other.query("select 1"))).toEqual([["1"]]);
    });
    report(`select 1 beside a sort: ${took.length}, median ${took[took.length >> 1]?.toFixed(1)} ms`);
    expect(took.length).toBeGreaterThan(5);
  });

  test("others log in", async () => {
    const took = await answeredWhile(await sorts(), async () => {
      const client = await server.login();
      expect(rows(await client.query("select 2"))).toEqual([["2"]]);
      client.destroy();
    });
    report(`a login and a select beside a sort: ${took.length}, median ${took[took.length >> 1]?.toFixed(1)} ms`);
    expect(took.length).toBeGreaterThan(1);
  });

  test("a statement of another one is cancelled, one times out, a notification comes", async () => {
    const { client, processId, secretKey } = await server.loginWithKey();
    const listener = await server.login();
    await listener.query("listen news");
    const goesOn = await sorts();
    client.send(message.query("select pg_sleep(1000)"));
    await server.running(processId);
    await server.cancel(processId, secretKey);
    expect(errorFields(await client.until("Z"))?.get("C")).toBe("57014");
    client.send(message.query("set statement_timeout = 50; select pg_sleep(1000)"));
    expect(errorFields(await client.until("Z"))?.get("C")).toBe("57014");
    await client.query("notify news");
    await listener.until("A");
    expect(goesOn()).toBe(true);
  });
});

describe("several that compute", () => {
  const server = productServer();

  test("take turns, and each can be cancelled", async () => {
    const computing: { client: WireClient; cancel: () => Promise<void> }[] = [];
    for (let i = 0; i < 4; i++) {
      const { client, processId, secretKey } = await server.loginWithKey();
      client.send(message.query(`create temp table t${i} as select 1; ${endless}`));
      await expect.poll(() => server.stateOf(processId)).toBe("running");
      computing.push({ client, cancel: () => server.cancel(processId, secretKey) });
    }
    for (const { client, cancel } of computing) {
      await cancel();
      expect(errorFields(await client.until("Z"))?.get("C")).toBe("57014");
    }
  });

  test("each gets on: two finish what neither could if it had to wait for the endless one", async () => {
    const { client, processId, secretKey } = await server.loginWithKey();
    client.send(message.query(endless));
    await expect.poll(() => server.stateOf(processId)).toBe("running");
    const others = [await server.login(), await server.login()];
    const sum = "select sum(i) from generate_series(1, 300000) i";
    const answers = await Promise.all(others.map((other) => other.query(sum)));
    for (const answer of answers) expect(rows(answer)).toEqual([["45000150000"]]);
    await server.cancel(processId, secretKey);
    expect(errorFields(await client.until("Z"))?.get("C")).toBe("57014");
  });
});
