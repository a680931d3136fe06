/**
 * A proxy that records what clients and another PostgreSQL say to each other.
 *
 * Owns: the connections to both sides. Does not own: the trace (`recorder.ts`).
 * Invariant: each piece that arrives goes on as one write, after it was recorded; a side that does not read holds up the
 * other. Requests for encryption are refused here, since what is encrypted cannot be read.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Recorder } from "./recorder.ts";

/** Where a server is: a port, or a Unix socket. */
export type Upstream = { readonly host: string; readonly port: number } | { readonly path: string };

/** A proxy that listens. */
interface Proxy {
  readonly port: number;
  /** Hangs up and resolves when all is recorded. */
  stop(): Promise<void>;
}

const requestBytes = 8;
const encryptionRequests: ReadonlySet<number> = new Set([80877103, 80877104]);
/** Who hangs up by himself has so much time to. */
const farewellMs = 100;

/** Listens on 127.0.0.1. Rejects where it cannot. `onRefused` is told of a client for whom there was no server. */
export async function startProxy(
  port: number,
  upstream: Upstream,
  recorder: Recorder,
  onRefused: (error: Error) => void = () => {},
): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const there = connect({ ...upstream, noDelay: true, allowHalfOpen: true });
    for (const socket of [client, there]) {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    }
    there.on("error", (error) => there.pending && onRefused(error));
    pass(++connections, client, there, recorder);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      const closed = once(server, "close");
      server.close();
      await Promise.race([closed, delay(farewellMs)]);
      for (const socket of sockets) socket.destroy();
      await closed;
      await recorder.close();
    },
  };
}

/** One client and its connection to the server. */
function pass(connection: number, client: Socket, there: Socket, recorder: Recorder): void {
  let begin: Buffer | undefined = Buffer.alloc(0);
  client.on("data", (bytes: Buffer) => {
    recorder.tap(connection, "frontend", bytes);
    if (begin) begin = refuseEncryption(connection, Buffer.concat([begin, bytes]), client, there, recorder);
    else forward(bytes, client, there);
  });
  there.on("data", (bytes: Buffer) => {
    recorder.tap(connection, "backend", bytes);
    forward(bytes, there, client);
  });
  for (const [from, to] of [
    [client, there],
    [there, client],
  ] as const) {
    from.on("end", () => to.end());
    // Where one is broken, or was refused, so is the other.
    from.on("error", () => to.destroy());
  }
  client.on("close", () => {
    there.end();
    recorder.tap(connection, "closed");
  });
  there.on("close", () => client.end());
}

function forward(bytes: Buffer, from: Socket, to: Socket): void {
  if (to.write(bytes) || to.destroyed) return;
  from.pause();
  to.once("drain", () => from.resume());
}

/** Answers requests for encryption; returns what has come of the next packet, undefined once the startup packet is on its way. */
function refuseEncryption(
  connection: number,
  begin: Buffer,
  client: Socket,
  there: Socket,
  recorder: Recorder,
): Buffer | undefined {
  let rest = begin;
  while (rest.length >= requestBytes) {
    const isRequest = rest.readInt32BE(0) === requestBytes && encryptionRequests.has(rest.readInt32BE(4));
    if (!isRequest) {
      forward(rest, client, there);
      return undefined;
    }
    rest = rest.subarray(requestBytes);
    const no = Buffer.from("N");
    recorder.tap(connection, "backend", no);
    client.write(no);
  }
  return rest;
}
