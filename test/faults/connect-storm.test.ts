/**
 * Far more clients than there are places, all at once: each gets in or is told that there are too many, in PostgreSQL's words.
 */
import { once } from "node:events";
import { connect as connectTls } from "node:tls";
import { describe, expect, test } from "vitest";
import { productServer } from "../support/product-server.ts";
import { selfSigned } from "../support/self-signed.ts";
import { errorFields, message, WireClient } from "../support/wire-client.ts";

const startup = message.startup({ user: "postgres", database: "postgres" });

/** What became of a client: "in", the SQLSTATE that it was refused with, or how its socket failed. */
async function outcome(client: WireClient): Promise<string> {
  client.send(startup);
  try {
    for (;;) {
      const next = await client.next();
      if (next.type === "Z") return "in";
      if (next.type !== "E") continue;
      const fields = errorFields([next]);
      expect([fields?.get("S"), fields?.get("M")]).toEqual(["FATAL", "sorry, too many clients already"]);
      return `${fields?.get("C")}`;
    }
  } catch (error) {
    return String(error);
  }
}

async function tallied(outcomes: readonly Promise<string>[]): Promise<Record<string, number>> {
  const tally: Record<string, number> = {};
  for (const name of await Promise.all(outcomes)) tally[name] = (tally[name] ?? 0) + 1;
  return tally;
}

describe("a server for 100", () => {
  const server = productServer();
  const clients: WireClient[] = [];

  test("lets 100 of 1000 in that come at once, and tells each of the others 53300", async () => {
    try {
      const outcomes = Array.from({ length: 1000 }, async () => {
        const client = await WireClient.connect(server.transport);
        clients.push(client);
        return outcome(client);
      });
      expect(await tallied(outcomes)).toEqual({ in: 100, "53300": 900 });
    } finally {
      for (const client of clients) client.destroy();
    }
    // And all places are free again.
    await expect.poll(async () => (await server.transport.stats()).activeConnections, { timeout: 300_000 }).toBe(0);
    await server.login();
  });
});

describe("a server for 10 with TLS", () => {
  const server = productServer({ listen: { maxConnections: 10, certificate: selfSigned() } });

  test("tells each of those that are too many, through TLS", async () => {
    const clients: WireClient[] = [];
    try {
      const outcomes = Array.from({ length: 150 }, async () => {
        const plain = await WireClient.connect(server.transport);
        plain.send(message.sslRequest());
        expect(await plain.bytes(1)).toEqual(Buffer.from("S"));
        plain.socket.removeAllListeners("data");
        const socket = connectTls({ socket: plain.socket, rejectUnauthorized: false, ALPNProtocols: ["postgresql"] });
        const client = new WireClient(socket);
        clients.push(client);
        await once(socket, "secureConnect");
        return outcome(client);
      });
      expect(await tallied(outcomes)).toEqual({ in: 10, "53300": 140 });
    } finally {
      for (const client of clients) client.destroy();
    }
  });
});
