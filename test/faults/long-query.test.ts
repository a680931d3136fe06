/**
 * While a statement runs for long: logins, cancels, what goes on, and the end of it all.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { outline, type ProductServer, productServer } from "../support/product-server.ts";
import { report } from "../support/report.ts";
import { message, rows, WireClient } from "../support/wire-client.ts";

/** What the connections do whose clients have said who they are. */
async function named(server: ProductServer) {
  const { connections } = await server.transport.stats();
  return connections.filter(({ applicationName }) => applicationName !== "");
}

const long = "select count(*) from generate_series(1, 300000000)";

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

test("SIGTERM ends the process while a long statement runs, and the client is told", async () => {
  const cli = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
  const child = spawn(process.execPath, [cli, "--port", "0", "--migrations", "none", "-o", "json"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
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
    expect(outline(messages)).toMatch(/E\(57P01\)$/);
  } finally {
    child.kill("SIGKILL");
  }
});
