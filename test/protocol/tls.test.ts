/** TLS at the level of bytes: both ways to begin it, handshakes that fail, and channel binding. */
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import type { PGlite } from "@electric-sql/pglite";
import type { PGLiteSocketServer } from "@electric-sql/pglite-socket";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { keepSecret } from "../../src/transport/authenticate.ts";
import { createLogin } from "../../src/transport/login.ts";
import { SocketDirectory } from "../../src/transport/socket-directory.ts";
import { createTlsServer } from "../../src/transport/tls.ts";
import { encodeSaslInitialResponse, encodeSaslResponse, mechanism } from "../../src/wire/authentication.ts";
import type { ScramSecret } from "../../src/wire/scram.ts";
import { bindingHeader, clientKeyOf, hash, hmac, saltPassword, xor } from "../../src/wire/scram.ts";
import { ask } from "../support/answer.ts";
import { createEngine } from "../support/engines.ts";
import { authentication, logInWith, startupOf } from "../support/scram-conversation.ts";
import { selfSigned } from "../support/self-signed.ts";
import { startServer, type TestServer, type TestServerOptions } from "../support/servers.ts";
import { waitUntil } from "../support/wait-until.ts";
import { type Address, errorFields, message, types, WireClient } from "../support/wire-client.ts";

const certificate = selfSigned();
const tls = createTlsServer(certificate);
const password = "secret";
let secret: ScramSecret;
let engine: PGlite;
let server: TestServer;
const clients: WireClient[] = [];

beforeAll(async () => {
  engine = await createEngine();
  secret = await keepSecret(password);
});
beforeEach(() => serve());
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await server.stop();
});
afterAll(() => engine.close());

async function serve(options: TestServerOptions & { withPassword?: boolean } = {}): Promise<void> {
  await server?.stop();
  const { withPassword, ...rest } = options;
  const login = createLogin({ databases: ["postgres"], tls, ...(withPassword ? { secret } : {}) });
  server = await startServer("ours", { db: engine, login, ...rest });
}

async function connected(address: Address = server): Promise<WireClient> {
  const client = await WireClient.connect(address);
  clients.push(client);
  return client;
}

/** The encrypted side of a connection; `request` sends an SSLRequest first. */
async function encrypted(request: "SSLRequest" | "direct", options: ConnectionOptions = {}): Promise<WireClient> {
  const plain = await connected();
  if (request === "SSLRequest") {
    plain.send(message.sslRequest());
    expect(await plain.bytes(1)).toEqual(Buffer.from("S"));
  }
  plain.socket.removeAllListeners("data");
  const trust = { ca: certificate.cert, checkServerIdentity: () => undefined };
  const socket = connectTls({ socket: plain.socket, ...trust, ...options });
  const client = new WireClient(socket);
  clients.push(client);
  await once(socket, "secureConnect");
  return client;
}

async function expectNothingLeft(): Promise<void> {
  await waitUntil("its place is free", () => server.server.getStats().activeConnections === 0);
  const next = await encrypted("SSLRequest");
  next.send(startupOf());
  await next.until("Z");
}

const postgresql = { ALPNProtocols: ["postgresql"] };
const protocolOf = (client: WireClient) => (client.socket as TLSSocket).alpnProtocol;

describe("after an SSLRequest", () => {
  test("a client that names the protocol is answered, one that does not is served as well", async () => {
    for (const [options, protocol] of [
      [postgresql, "postgresql"],
      [{}, false],
    ] as const) {
      const client = await encrypted("SSLRequest", options);
      expect(protocolOf(client)).toBe(protocol);
      client.send(startupOf());
      await client.until("Z");
      expect(await ask(client, [message.query("select 1")])).toBe("1");
    }
  });

  test("a client that wants another protocol is refused", async () => {
    await expect(encrypted("SSLRequest", { ALPNProtocols: ["http/1.1"] })).rejects.toThrow(/alert|ALPN/i);
    await expectNothingLeft();
  });

  test("versions below 1.2 are refused", async () => {
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" } as const;
    await expect(encrypted("SSLRequest", old)).rejects.toThrow(/alert protocol version|unsupported protocol/i);
    await expectNothingLeft();
  });

  test("inside, neither a second SSLRequest nor a second handshake is taken", async () => {
    for (const [bytes, code] of [
      [message.sslRequest(), "08P01"],
      [Buffer.from("160301020001000100", "hex"), undefined],
    ] as const) {
      const client = await encrypted("SSLRequest");
      client.send(bytes);
      expect(errorFields(await client.untilEnd())?.get("C")).toBe(code);
    }
  });
});

describe("without TLS", () => {
  test("a client that does not ask for it is served", async () => {
    const client = await connected();
    client.send(startupOf());
    await client.until("Z");
    expect(await ask(client, [message.query("select 1")])).toBe("1");
  });

  test("a Unix socket has none, as in PostgreSQL", async () => {
    const socketDir = mkdtempSync(join(tmpdir(), "tls-"));
    try {
      await serve();
      const directory = new SocketDirectory(socketDir, server.server as PGLiteSocketServer);
      await directory.listen();
      onTestFinished(() => directory.close());
      const client = await connected({ path: join(socketDir, `.s.PGSQL.${server.port}`) });
      client.send(message.sslRequest());
      expect(await client.bytes(1)).toEqual(Buffer.from("N"));
      client.send(startupOf());
      await client.until("Z");
    } finally {
      rmSync(socketDir, { recursive: true, force: true });
    }
  });
});

describe("direct negotiation", () => {
  test("works with the protocol's name, and byte by byte", async () => {
    const client = await encrypted("direct", postgresql);
    expect(protocolOf(client)).toBe("postgresql");
    client.send(startupOf());
    await client.until("Z");
    expect(await ask(client, [message.query("select repeat('x', 100000)")])).toHaveLength(100_000);
    const slow = await connected();
    const hello = await clientHello(postgresql);
    for (const byte of hello) {
      await new Promise<void>((sent) => slow.socket.write(Buffer.from([byte]), () => setImmediate(sent)));
    }
    // The ServerHello is a handshake record too.
    expect((await slow.bytes(1))[0]).toBe(0x16);
  });

  test("without the protocol's name is closed before a word", async () => {
    const client = await encrypted("direct").catch((error: Error) => error);
    if (client instanceof WireClient) {
      client.send(startupOf());
      expect(types(await client.untilEnd())).toBe("");
    }
    await expectNothingLeft();
  });

  test("is no second chance after another packet", async () => {
    const client = await connected();
    client.send(message.gssencRequest());
    expect(await client.bytes(1)).toEqual(Buffer.from("N"));
    client.send(await clientHello(postgresql));
    expect(types(await client.untilEnd())).toBe("");
  });

  test.each([
    ["garbage", Buffer.from(`160301000a${"00".repeat(10)}`, "hex")],
    ["garbage of another version", Buffer.from(`16ffffffff${"41".repeat(100)}`, "hex")],
  ])("a handshake that is %s costs its own connection only", async (_, bytes) => {
    for (let n = 0; n < 5; n++) {
      const client = await connected();
      client.send(bytes);
      await client.untilEnd();
    }
    await expectNothingLeft();
  });

  test("a handshake that stops, or whose client goes, leaves nothing behind", async () => {
    // Long enough for the handshake of the next client, also on a busy machine.
    await serve({ stallTimeout: 1_000 });
    const hello = await clientHello(postgresql);
    for (const go of ["stops", "resetAndDestroy", "end"] as const) {
      for (const sent of [1, 60, hello.length]) {
        const client = await connected();
        client.send(hello.subarray(0, sent));
        if (go === "stops") await client.untilEnd();
        else client.socket[go]();
        await expectNothingLeft();
        for (const rest of clients.splice(0)) rest.destroy();
      }
    }
  });
});

describe("a password over TLS", () => {
  beforeEach(() => serve({ withPassword: true }));

  test("is offered with channel binding first, and works without", async () => {
    const client = await encrypted("SSLRequest");
    client.send(startupOf());
    expect(authentication(await client.next()).data).toBe("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0");
    const other = await encrypted("direct", postgresql);
    await logInWith(other, password);
    await other.until("Z");
  });

  test.each([
    ["this server's certificate", (raw: Buffer) => raw, undefined],
    ["another one", (raw: Buffer) => Buffer.concat([raw, raw]), "28000 SCRAM channel binding check failed"],
  ])("bound to %s", async (_, change, refusal) => {
    const client = await encrypted("SSLRequest");
    client.send(startupOf());
    await client.next();
    const firstBare = "n=,r=abcdef";
    client.send(encodeSaslInitialResponse(mechanism.plus, `${bindingHeader}${firstBare}`));
    const serverFirst = authentication(await client.next()).data;
    const [, nonce, salt] = /^r=([^,]+),s=([^,]+)/.exec(serverFirst)!;
    const raw = change(new X509Certificate(certificate.cert).raw);
    const bound = Buffer.concat([Buffer.from(bindingHeader), createHash("sha256").update(raw).digest()]);
    const withoutProof = `c=${bound.toString("base64")},r=${nonce}`;
    const clientKey = clientKeyOf(saltPassword(password, Buffer.from(salt!, "base64"), 4096));
    const proof = xor(clientKey, hmac(hash(clientKey), [firstBare, serverFirst, withoutProof].join(",")));
    client.send(encodeSaslResponse(`${withoutProof},p=${proof.toString("base64")}`));
    if (refusal === undefined) await client.until("Z");
    else {
      const fields = errorFields(await client.untilEnd());
      expect(`${fields?.get("C")} ${fields?.get("M")}`).toBe(refusal);
    }
  });

  test("a client that was told that there is no binding is refused", async () => {
    const client = await encrypted("SSLRequest");
    client.send(startupOf());
    await client.next();
    client.send(encodeSaslInitialResponse(mechanism.plain, "y,,n=,r=abc"));
    expect(errorFields(await client.untilEnd())?.get("M")).toBe("SCRAM channel binding negotiation error");
  });
});

/** The first flight of a client's handshake, as bytes. */
async function clientHello(options: ConnectionOptions): Promise<Buffer> {
  const listener = createServer();
  await new Promise<void>((listening) => listener.listen(0, "127.0.0.1", listening));
  const { port } = listener.address() as { port: number };
  const socket = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options });
  socket.on("error", () => {});
  const [accepted] = await once(listener, "connection");
  const [hello] = await once(accepted, "data");
  socket.destroy();
  accepted.destroy();
  listener.close();
  return hello;
}
