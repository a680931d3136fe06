/**
 * While a statement runs for long: logins, cancels, what goes on, and the end of it all.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { bothSessions, outline, type ProductServer, productServer } from "../support/product-server.ts";
import { report } from "../support/report.ts";
import { message, rows, WireClient } from "../support/wire-client.ts";

/** What the connections do whose clients have said who they are. */
async function named(server: ProductServer) {
  const { connections } = await server.transport.stats();
  return connections.filter(({ applicationName }) => applicationName !== "");
}

/** It says that it has begun, and takes longer than others take to ask for something. */
const begunAndBusy = "do $$begin raise notice 'begun'; perform pg_sleep(1); end$$";
const long = "select count(*) from generate_series(1, 300000000)";

describe("isolated sessions", () => {
  describe("while a long statement runs", () => {
    const server = productServer();

    test("clients log in, and what goes on can be seen", async () => {
      const { client, processId, secretKey } = await server.loginWithKey({ application_name: "counter" });
      const answer = client.query(long);
      await server.running(processId);
      const took: number[] = [];
      for (let i = 0; i < 20; i++) {
        const began = performance.now();
        (await server.login()).destroy();
        took.push(performance.now() - began);
      }
      report(`a login beside a long statement took at most ${Math.max(...took).toFixed(1)} ms`);

      const other = await server.login({ application_name: "other" });
      const waiting = other.query("select 1");
      expect(rows(await waiting)).toEqual([["1"]]);
      await expect
        .poll(() => named(server))
        .toMatchObject([
          { applicationName: "counter", user: "postgres", state: "running", statement: long, processId },
          { applicationName: "other", state: "idle", statement: "select 1" },
        ]);
      const [counter] = await named(server);
      expect(counter!.forMs).toBeGreaterThan(0);

      await server.cancel(processId, secretKey);
      expect(outline(await answer)).toContain("E(57014)");
    });

    test("a client that goes does not leave its statement behind for ever", async () => {
      const { client, processId } = await server.loginWithKey();
      client.query("do $$begin loop end loop; end$$").catch(() => {});
      await server.running(processId);
      client.destroy();
      const other = await server.login();
      expect(rows(await other.query("select 1"))).toEqual([["1"]]);
    });

    test("what is produced is sent while the rest is still being worked on", async () => {
      const { client, processId, secretKey } = await server.loginWithKey();
      client.send(message.query("do $$begin raise notice 'first'; loop end loop; end$$"));
      expect(outline(await client.until("N"))).toBe("N");
      await server.cancel(processId, secretKey);
      expect(outline(await client.until("Z"))).toBe("E(57014)ZI");
    });
  });
});

describe("shared sessions: while a long statement runs", () => {
  const server = productServer({ sessions: "shared", engine: { deafAfterMs: 100 } });

  test("logins and the others wait for its end, and the log says for what", async () => {
    const other = await server.login();
    const { client, processId } = await server.loginWithKey({ application_name: "counter" });
    const order: string[] = [];
    client.send(message.query(begunAndBusy));
    await client.until("N");
    const long = client.until("Z").then(() => order.push("long"));
    const waiting = other.query("select 1").then(() => order.push("other"));
    const login = server.login().then(() => order.push("login"));
    await Promise.all([long, waiting, login]);
    expect(order[0]).toBe("long");
    const line = `process ${processId} (application_name "counter"): "${begunAndBusy}" has run for 0.1 s, and all others wait for it`;
    expect(server.log.join("\n")).toContain(line);
  });

  test("one whose client goes runs to its end, and its transaction is rolled back", async () => {
    const other = await server.login();
    await other.query("create table t (n int)");
    const client = await server.login();
    client.send(message.query(`begin; insert into t values (1); ${begunAndBusy}`));
    await client.until("N");
    client.destroy();
    expect(rows(await other.query("select count(*) from t"))).toEqual([["0"]]);
  });

  test("what is produced is sent while the rest is still being worked on", async () => {
    // Nothing but the end of its listener, which comes when the notice has been read, ends the statement.
    const listener = await server.listen();
    const client = await WireClient.login(listener);
    client.send(message.query("do $$begin raise notice 'first'; loop end loop; end$$"));
    expect(outline(await client.until("N"))).toBe("N");
    await listener.stop();
    expect(outline(await client.untilEnd())).toBe("E(57014)ZIE(57P01)");
  });
});

test.each(bothSessions)(
  "SIGTERM ends the process while a long statement runs, and the client is told: %s sessions",
  async (sessions) => {
    const cli = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
    const child = spawn(
      process.execPath,
      [cli, "--port", "0", "--migrations", "none", "--sessions", sessions, "-o", "json"],
      {
        stdio: ["ignore", "pipe", "ignore"],
      },
    );
    const exited = once(child, "exit");
    try {
      const [line] = await once(child.stdout, "data");
      const { port } = JSON.parse(String(line)) as { port: number };
      const client = await WireClient.login({ port });
      client.send(message.query("do $$begin raise notice 'begun'; loop end loop; end$$"));
      await client.until("N");
      const began = performance.now();
      child.kill("SIGTERM");
      const messages = await client.untilEnd();
      expect((await exited)[0]).toBe(143);
      report(`SIGTERM beside a long statement: gone after ${(performance.now() - began).toFixed(0)} ms`);
      // With one session for all the statement is cancelled first.
      expect(outline(messages)).toMatch(sessions === "shared" ? /E\(57014\)ZIE\(57P01\)$/ : /E\(57P01\)$/);
    } finally {
      child.kill("SIGKILL");
    }
  },
);
