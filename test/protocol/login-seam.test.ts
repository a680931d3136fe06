/** The login seam: a caller's function accepts, refuses or upgrades; the library does the rest. */
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { connect as connectTls, TLSSocket } from "node:tls";
import type { PGlite } from "@electric-sql/pglite";
import type { Login, LoginRequest } from "@electric-sql/pglite-socket";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { askClient } from "../../src/transport/login-dialog.ts";
import { encodeMessage } from "../../src/wire/frontend.ts";
import { ask } from "../support/answer.ts";
import { createEngine } from "../support/engines.ts";
import { selfSigned } from "../support/self-signed.ts";
import { startServer, type TestServer, type TestServerOptions } from "../support/servers.ts";
import { timeoutPassed } from "../support/timeout-passed.ts";
import { waitUntil } from "../support/wait-until.ts";
import { errorFields, message, types, WireClient } from "../support/wire-client.ts";

const { query } = message;
const startup = message.startup({ user: "postgres", database: "postgres" });
const { key, cert } = selfSigned();

let engine: PGlite;
let server: TestServer | undefined;
let requests: LoginRequest[] = [];
const clients: WireClient[] = [];

beforeAll(async () => {
  engine = await createEngine();
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await server?.stop();
  server = undefined;
});
afterAll(() => engine.close());

async function serve(login: Login, options: TestServerOptions = {}): Promise<TestServer> {
  requests = [];
  server = await startServer("ours", {
    db: engine,
    ...options,
    login: (request) => {
      requests.push(request);
      return login(request);
    },
  });
  return server;
}

async function connected(): Promise<WireClient> {
  const client = await WireClient.connect(server!);
  clients.push(client);
  return client;
}

/** Answers an SSLRequest with S and goes on in TLS. */
const withTls: Login = ({ kind, socket }) => {
  if (kind !== "ssl") return { kind: "accept" };
  socket.write("S");
  return {
    kind: "upgrade",
    socket: new TLSSocket(socket as never, { isServer: true, key, cert }) as unknown as Duplex,
  };
};

describe("a login", () => {
  test("sees what the client asked for, and is asked once", async () => {
    await serve(() => ({ kind: "accept" }));
    const client = await connected();
    client.send(message.startup({ user: "anybody", database: "anything", "_pq_.x": "y", a: "b" }, (3 << 16) | 2));
    await client.until("Z");
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject({ kind: "startup", minor: 2, protocolOptions: ["_pq_.x"] });
    const [request] = requests;
    expect(request?.kind === "startup" && Object.fromEntries(request.parameters)).toEqual({
      user: "anybody",
      database: "anything",
      a: "b",
    });
    expect(await ask(client, [query("select 1")])).toBe("1");
  });

  test("that is refused is told, with all fields, and closed", async () => {
    const error = { severity: "FATAL", code: "28P01", message: "no", detail: "because", hint: "ask" } as const;
    await serve(({ kind }) => (kind === "startup" ? { kind: "refuse", error } : { kind: "accept" }));
    const client = await connected();
    client.send(startup, query("select 1"));
    const messages = await client.untilEnd();
    expect(types(messages)).toBe("E");
    expect(Object.fromEntries(errorFields(messages)!)).toEqual({
      S: "FATAL",
      V: "FATAL",
      C: "28P01",
      M: "no",
      D: "because",
      H: "ask",
    });
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("broken");
      },
    ],
    ["rejects", () => Promise.reject(new Error("broken"))],
  ] as [string, Login][])("that %s closes with XX000, and the next one is asked again", async (_, login) => {
    await serve((request) => (requests.length === 1 ? login(request) : { kind: "accept" }));
    const client = await connected();
    client.send(startup);
    expect(errorFields(await client.untilEnd())?.get("C")).toBe("XX000");
    const next = await connected();
    next.send(startup);
    expect(types(await next.until("Z"))).toMatch(/^RS+KZ$/);
  });

  test("may take its time: nothing of what the client says meanwhile is lost or early", async () => {
    let decide!: () => void;
    const decided = new Promise<void>((resolve) => {
      decide = resolve;
    });
    const { port } = await serve(() => decided.then(() => ({ kind: "accept" })), { stallTimeout: 100 });
    const client = await connected();
    client.send(startup, query("select 1"));
    await waitUntil("it is asked", () => requests.length === 1);
    client.send(query("select 2"));
    // The clock of the client does not run while it waits for us.
    await timeoutPassed({ port }, 3);
    expect(client.unread).toEqual([]);
    decide();
    expect(types(await client.until("Z", 3))).toMatch(/^RS+KZTDCZTDCZ$/);
  });

  test("of a client that goes while it is decided leaves nothing behind", async () => {
    let decide!: () => void;
    const decided = new Promise<void>((resolve) => {
      decide = resolve;
    });
    await serve(() => decided.then(() => ({ kind: "accept" })));
    const client = await connected();
    client.send(startup);
    await waitUntil("it is asked", () => requests.length === 1);
    client.socket.resetAndDestroy();
    decide();
    await waitUntil("its place is free", () => server!.server.getStats().activeConnections === 0);
  });

  test("that is being decided does not hold up a stop, and nothing comes of it later", async () => {
    let decide!: () => void;
    const decided = new Promise<void>((resolve) => {
      decide = resolve;
    });
    await serve(() => decided.then(() => ({ kind: "accept" })));
    const client = await connected();
    client.send(startup);
    await waitUntil("it is asked", () => requests.length === 1);
    await server!.stop();
    decide();
    expect(errorFields(await client.untilEnd())?.get("C")).toBe("57P01");
  });
});

describe("a dialog of a login", () => {
  const question = encodeMessage("R", Buffer.from([0, 0, 0, 3]));
  /** A cleartext password: asks twice, accepts what is `right` both times. */
  const askTwice: Login = async (request) => {
    if (request.kind !== "startup") return { kind: "accept" };
    for (let n = 0; n < 2; n++) {
      const answer = Buffer.from(await askClient(request, question))
        .toString()
        .replace("\0", "");
      if (answer !== "right") return { kind: "refuse", error: { severity: "FATAL", code: "28P01", message: answer } };
    }
    request.write(encodeMessage("R", Buffer.from([0, 0, 0, 12]), "bye"));
    return { kind: "accept" };
  };

  test("is held message by message; the rest of what came is what the session begins with", async () => {
    const tapped: string[] = [];
    await serve(askTwice, { tap: (_, source, bytes) => void tapped.push(`${source[0]}${bytes?.[0]}`) });
    const client = await connected();
    client.send(startup, encodeMessage("p", "right"), encodeMessage("p", "right"), query("select 1"));
    expect(types(await client.until("Z", 2))).toMatch(/^RRRRS+KZTDCZ$/);
    // What came in one piece is seen as one.
    expect(tapped.slice(0, 4)).toEqual(["f0", "b82", "b82", "b82"]);
  });

  test("is held by many at the same time, and each gets its own answer", async () => {
    await serve(askTwice);
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const client = await connected();
        client.send(startup);
        await client.next();
        client.send(encodeMessage("p", n % 2 ? "right" : `wrong ${n}`));
        if (n % 2 === 0) return errorFields(await client.untilEnd())?.get("M");
        await client.next();
        client.send(encodeMessage("p", "right"));
        return types(await client.until("Z")).slice(-1);
      }),
    );
    expect(outcomes).toEqual(outcomes.map((_, n) => (n % 2 ? "Z" : `wrong ${n}`)));
  });

  test("ends with a rejection when the client goes or stops, and asking again rejects at once", async () => {
    const ends: string[] = [];
    const login: Login = async (request) => {
      if (request.kind !== "startup") return { kind: "accept" };
      for (let n = 0; n < 2; n++) await askClient(request, question).catch((error: Error) => ends.push(error.message));
      request.write(question);
      return { kind: "accept" };
    };
    await serve(login, { stallTimeout: 150 });
    for (const end of [(client: WireClient) => void client.socket.resetAndDestroy(), () => {}]) {
      const client = await connected();
      client.send(startup);
      await client.next();
      end(client);
      await client.untilEnd();
      await waitUntil("its place is free", () => server!.server.getStats().activeConnections === 0);
      await waitUntil("it was told", () => ends.length === 2);
      expect(ends.splice(0)).toEqual(["the connection ended during its login", "the connection is closed"]);
    }
  });
});

describe("an SSLRequest", () => {
  test.each(["accept", "refuse"] as const)("is answered with N where the login says %s", async (kind) => {
    const error = { severity: "FATAL", code: "28000", message: "no" } as const;
    await serve((request) => (request.kind === "startup" ? { kind: "accept" } : { kind, error }));
    const client = await connected();
    for (const request of [message.sslRequest(), message.gssencRequest()]) {
      client.send(request);
      expect(await client.bytes(1)).toEqual(Buffer.from("N"));
    }
    client.send(startup);
    await client.until("Z");
    expect(requests.map((request) => request.kind)).toEqual(["ssl", "gssenc", "startup"]);
  });

  test("can be upgraded to TLS: the login and everything after it is inside", async () => {
    const tapped: string[] = [];
    await serve(withTls, { tap: (_, source, bytes) => void tapped.push(`${source} ${bytes?.[0]}`) });
    const client = await tlsClient();
    client.send(startup);
    await client.until("Z");
    expect(await ask(client, [query("select repeat('x', 3)")])).toBe("xxx");
    client.socket.pause();
    client.send(query("select repeat('x', 1000000) from generate_series(1, 10)"));
    await new Promise((resolve) => setTimeout(resolve, 50));
    client.socket.resume();
    expect(types(await client.until("Z")).replaceAll("S", "")).toBe(`T${"D".repeat(10)}CZ`);
    expect(requests.map(({ kind }) => kind)).toEqual(["ssl", "startup"]);
    expect(tapped).toContain(`frontend ${0x51}`);
    await client.end();
    await waitUntil("its place is free", () => server!.server.getStats().activeConnections === 0);
  });

  test("that is upgraded is followed by the rules of the startup phase inside", async () => {
    await serve(withTls, { maxConnections: 1, stallTimeout: 200 });
    const silent = await tlsClient();
    await silent.untilEnd();
    const garbage = await tlsClient();
    garbage.send(Buffer.from("GET / HTTP/1.1\r\n\r\n"));
    expect(await garbage.untilEnd()).toEqual([]);
    const killed = await tlsClient();
    killed.destroy();
    await waitUntil("all places are free", () => server!.server.getStats().activeConnections === 0);
  });

  test("is not upgraded when something in the clear came behind it", async () => {
    await serve(withTls);
    const client = await connected();
    client.send(message.sslRequest(), startup);
    expect(await client.bytes(1)).toEqual(Buffer.from("S"));
    await client.untilEnd().catch(() => {});
    expect(requests.map(({ kind }) => kind)).toEqual(["ssl"]);
    await waitUntil("its place is free", () => server!.server.getStats().activeConnections === 0);
  });

  test("whose TLS handshake fails closes that connection only", async () => {
    await serve(withTls);
    const client = await connected();
    client.send(message.sslRequest());
    expect(await client.bytes(1)).toEqual(Buffer.from("S"));
    client.send(Buffer.from("this is no handshake at all"));
    await client.untilEnd();
    await waitUntil("its place is free", () => server!.server.getStats().activeConnections === 0);
    const next = await tlsClient();
    next.send(startup);
    await next.until("Z");
  });
});

async function tlsClient(): Promise<WireClient> {
  const plain = await WireClient.connect(server!);
  plain.send(message.sslRequest());
  expect(await plain.bytes(1)).toEqual(Buffer.from("S"));
  plain.socket.removeAllListeners("data");
  const socket = connectTls({
    socket: plain.socket,
    ca: cert,
    host: "localhost",
    checkServerIdentity: () => undefined,
  });
  const client = new WireClient(socket);
  clients.push(plain, client);
  await once(socket, "secureConnect");
  return client;
}
