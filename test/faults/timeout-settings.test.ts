import { afterAll, beforeAll, expect, test } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { openInProcessEngine } from "../../src/engine/in-process.ts";
import { listen, type Transport } from "../../src/transport/listen.ts";
import { rows, types, WireClient } from "../support/wire-client.ts";

let engine: Engine;
let server: Transport;

beforeAll(async () => {
  engine = await openInProcessEngine({ dataDir: "memory://" });
  server = await listen(engine, {
    host: "127.0.0.1",
    port: 0,
    maxConnections: 10,
    idleTimeoutMs: 0,
    stallTimeoutMs: 10_000,
    transactionIdleTimeoutMs: 10_000,
  });
});
afterAll(async () => {
  await server.stop();
  await engine.close();
});

test.each(["idle_in_transaction_session_timeout", "transaction_timeout", "idle_session_timeout", "statement_timeout"])(
  "a client that sets %s does not stop the server",
  async (setting) => {
    const client = await WireClient.login(server);
    await client.query(`set ${setting} = '20ms'`);
    await client.query("begin");
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(types(await client.query("select 1"))).toContain("D");
    await client.query("commit");
    await client.end();
    const other = await WireClient.login(server);
    expect(rows(await other.query("select 2"))).toEqual([["2"]]);
    await other.end();
  },
);
