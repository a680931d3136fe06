/** The port of a native PostgreSQL, when somebody takes it between its choice and its use. */
import { createServer, type Server } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { startOnFreePort } from "../../src/dev-db/servers/free-port.ts";

const host = "127.0.0.1";

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(port, host, () => resolve(server));
    onTestFinished(() => void server.close());
  });
}

test("another one is tried; each time taken, it says so", async () => {
  const tried: number[] = [];
  const started = await startOnFreePort(host, async (port) => {
    tried.push(port);
    if (tried.length < 3) await listen(port);
    return listen(port);
  });
  expect(started.address()).toMatchObject({ port: tried[2] });
  const never = startOnFreePort(host, async (port) => {
    await listen(port);
    await listen(port);
  });
  await expect(never).rejects.toMatchObject({ code: "EADDRINUSE" });
  const broken = startOnFreePort(host, () => Promise.reject(new Error("no such library")));
  await expect(broken).rejects.toThrow("no such library");
});
