/** Our client's TLS against a real PostgreSQL, by libpq's `sslmode`; and servers that do not keep to the protocol. */
import { chownSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { connect as connectTls, createSecureContext, TLSSocket } from "node:tls";

import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { dropDirectory, makeDirectory } from "../../scripts/bench/leftovers.ts";
import { ServerClient } from "../../src/dev-db/server-client.ts";
import { systemUser } from "../../src/dev-db/servers/programs.ts";
import { executeSql } from "../../src/engine/execute-sql.ts";
import { encodeSslRequest } from "../../src/wire/frontend.ts";
import { type RealPostgres, startRealPostgres } from "../support/real-postgres.ts";
import { selfSigned } from "../support/self-signed.ts";
import { waitUntil } from "../support/wait-until.ts";
import { hasNative, requireNative } from "./support/native.ts";

const ours = selfSigned();
const other = selfSigned();
let directory: string;
let server: RealPostgres;

/** Roles `tls` and `clear` are let in over one kind of connection only; `cleartext` is asked for its password. */
const hba = `hostnossl all tls all reject
hostssl all clear all reject
host all cleartext all password
host all scram all scram-sha-256
host all all all trust
`;

beforeAll(async () => {
  directory = makeDirectory();
  const user = process.getuid?.() === 0 ? systemUser() : undefined;
  const files = { "server.crt": ours.cert, "other.crt": other.cert, "server.key": ours.key, "hba.conf": hba };
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(directory, name), text, { mode: 0o600 });
    if (user) chownSync(join(directory, name), user.uid, user.gid);
  }
  if (user) chownSync(directory, user.uid, user.gid);
  if (!hasNative) return;
  server = await startRealPostgres({
    ssl: "on",
    ssl_cert_file: join(directory, "server.crt"),
    ssl_key_file: join(directory, "server.key"),
    hba_file: join(directory, "hba.conf"),
  });
  await ask(
    urlOf("postgres", "sslmode=disable"),
    "create role tls login; create role clear login; create role cleartext login password 'pw'; create role scram login password 'pw'",
  );
});
afterAll(async () => {
  await server?.stop();
  dropDirectory(directory);
});

function urlOf(user: string, query: string, host = "127.0.0.1"): string {
  return `postgresql://${user}@${host}:${server.port}/postgres?${query.replaceAll("DIR", directory)}`;
}

async function ask(url: string, sql = "select ssl from pg_stat_ssl where pid = pg_backend_pid()") {
  const client = await ServerClient.connect(url);
  try {
    return (await executeSql(client, sql)).at(-1)?.rows[0]?.[0];
  } finally {
    client.close();
  }
}

describe("sslmode against a real server", () => {
  beforeEach(requireNative);

  test.each([
    ["postgres", "sslmode=disable", "127.0.0.1", "f"],
    ["postgres", "sslmode=prefer", "127.0.0.1", "t"],
    ["postgres", "application_name=x", "127.0.0.1", "t"],
    ["postgres", "sslmode=allow", "127.0.0.1", "f"],
    ["scram:pw", "sslmode=require", "127.0.0.1", "t"],
    ["scram:pw", "sslmode=require&channel_binding=require", "127.0.0.1", "t"],
    ["scram:pw", "sslmode=require&channel_binding=disable", "127.0.0.1", "t"],
    ["scram:pw", "sslmode=disable", "127.0.0.1", "f"],
    ["tls", "sslmode=allow", "127.0.0.1", "t"],
    ["clear", "sslmode=prefer", "127.0.0.1", "f"],
    ["postgres", "sslmode=require", "127.0.0.1", "t"],
    ["postgres", "sslmode=verify-ca&sslrootcert=DIR/server.crt", "127.0.0.1", "t"],
    ["postgres", "sslmode=verify-full&sslrootcert=DIR/server.crt", "localhost", "t"],
    ["postgres", "sslmode=verify-full&sslrootcert=DIR/server.crt&hostaddr=127.0.0.1", "localhost", "t"],
  ])("a login as %s with %s at %s has TLS: %s%s", async (user, query, host, encrypted) => {
    expect(await ask(urlOf(user, query, host))).toBe(encrypted);
  });

  test.each([
    ["postgres", "sslmode=verify-full&sslrootcert=DIR/server.crt", "127.0.0.1", /IP|altname/i],
    ["postgres", "sslmode=verify-ca&sslrootcert=DIR/other.crt", "127.0.0.1", /TLS failed/],
    ["postgres", "sslmode=require&sslrootcert=DIR/other.crt", "127.0.0.1", /TLS failed/],
    [
      "postgres",
      "sslmode=verify-full&sslrootcert=DIR/nowhere.crt",
      "localhost",
      /the file .*nowhere.crt does not exist/,
    ],
    ["postgres", "sslmode=verify-full&sslrootcert=system", "localhost", /TLS failed/],
    ["postgres", "sslmode=require&sslrootcert=system", "localhost", /sslmode.*verify-full/],
    ["tls", "sslmode=disable", "127.0.0.1", /pg_hba.conf/],
    ["scram:wrong", "sslmode=require&channel_binding=require", "127.0.0.1", /password authentication failed/],
    ["scram:pw", "sslmode=disable&channel_binding=require", "127.0.0.1", /channel_binding=require/],
    ["cleartext:pw", "sslmode=require&channel_binding=require", "127.0.0.1", /channel_binding=require/],
    ["postgres", "sslmode=require&channel_binding=require", "127.0.0.1", /channel_binding=require/],
    ["clear", "sslmode=require", "127.0.0.1", /pg_hba.conf/],
  ])("a login as %s with %s at %s is refused", async (user, query, host, why) => {
    await expect(ask(urlOf(user, query, host))).rejects.toThrow(why);
  });

  test("a machine between with a certificate of its own cannot pass a login on", async () => {
    const { url } = await listener((socket) => {
      const there = connect(server.port, "127.0.0.1");
      socket.once("data", () => {
        socket.write("S");
        const inside = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext(other) });
        there.write(encodeSslRequest());
        there.once("data", () => {
          const outside = connectTls({ socket: there, rejectUnauthorized: false });
          for (const end of [inside, outside]) end.on("error", () => {});
          inside.pipe(outside).pipe(inside);
        });
      });
    });
    const through = url.replace("u:p@", "scram:pw@").replace(/db$/, "postgres?sslmode=require");
    await expect(ask(through)).rejects.toThrow(/channel binding/);
    // Only the binding tells.
    expect(await ask(`${through}&channel_binding=disable`)).toBe("t");
  });

  const outside = Object.values(networkInterfaces())
    .flat()
    .find((one) => one?.family === "IPv4" && !one.internal)?.address;

  test.skipIf(outside === undefined)(
    "a cleartext password is sent to another machine over verified TLS only",
    async () => {
      const there = await startRealPostgres({
        ssl: "on",
        ssl_cert_file: join(directory, "server.crt"),
        ssl_key_file: join(directory, "server.key"),
        hba_file: join(directory, "hba.conf"),
        listen_addresses: "*",
      });
      onTestFinished(() => there.stop());
      await ask(`postgresql://postgres@127.0.0.1:${there.port}/postgres`, "create role cleartext login password 'pw'");
      const url = (query: string) =>
        `postgresql://cleartext:pw@${outside}:${there.port}/postgres?${query.replaceAll("DIR", directory)}`;
      for (const query of ["sslmode=disable", "sslmode=require", "sslmode=prefer"])
        await expect(ask(url(query))).rejects.toThrow(/in cleartext.*not verified/);
      expect(await ask(url("sslmode=verify-ca&sslrootcert=DIR/server.crt"))).toBe("t");
    },
  );
});

/** A listener whose connections `behave` has. */
async function listener(behave: (socket: Socket) => void): Promise<{ url: string; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const listening = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    behave(socket);
  });
  await new Promise<void>((ready) => listening.listen(0, "127.0.0.1", ready));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    listening.close();
  });
  return { url: `postgresql://u:p@127.0.0.1:${(listening.address() as { port: number }).port}/db`, sockets };
}

test.each([
  ["has no TLS", (socket: Socket) => void socket.once("data", () => socket.write("N")), /no TLS.*sslmode=require/],
  ["answers with two letters", (socket: Socket) => void socket.once("data", () => socket.write("SE")), /SSLRequest/],
  ["closes at once", (socket: Socket) => void socket.resume().end(), /closed the connection/],
  [
    "breaks off its handshake",
    (socket: Socket) => void socket.once("data", () => socket.end("S")),
    /TLS failed|closed/,
  ],
])("a server that %s is left without a socket", async (_, behave, why) => {
  const { url, sockets } = await listener(behave);
  await expect(ServerClient.connect(`${url}?sslmode=require`)).rejects.toThrow(why);
  await waitUntil("the server has no connection", () => sockets.size === 0);
});

test.each(["disable", "require"])(
  "a server that never answers is given up after connect_timeout, with sslmode=%s",
  async (mode) => {
    const { url, sockets } = await listener((socket) => void socket.resume());
    await expect(ServerClient.connect(`${url}?sslmode=${mode}&connect_timeout=2`)).rejects.toThrow(
      /could not connect to 127\.0\.0\.1:\d+: no answer within 2 s/,
    );
    await waitUntil("the server has no connection", () => sockets.size === 0);
  },
);

test("a server that never ends its TLS handshake is given up, too", async () => {
  const { url, sockets } = await listener((socket) => void socket.once("data", () => socket.resume().write("S")));
  await expect(ServerClient.connect(`${url}?sslmode=require&connect_timeout=2`)).rejects.toThrow(
    /no answer within 2 s/,
  );
  await waitUntil("the server has no connection", () => sockets.size === 0);
});
