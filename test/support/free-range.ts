/**
 * A stretch of free ports for a test that needs ports with numbers next to each other.
 *
 * Owns: finding the stretch, and keeping other tests off it. Does not own: what is bound there.
 * Invariant: two reservations never overlap, also not between processes: each holds the UDP socket of its first port,
 * which is of no interest to TCP.
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { ephemeralPorts } from "../../src/testing/ephemeral-ports.ts";

const slotSize = 32;

/** A stretch of ports that nobody listened on when it was reserved. */
export interface FreeRange extends AsyncDisposable {
  readonly first: number;
  readonly last: number;
}

/** Reserves 32 consecutive free ports outside of the kernel's ephemeral ones, until it is disposed of. */
export async function reserveFreeRange(): Promise<FreeRange> {
  const ephemeral = ephemeralPorts();
  const slots: number[] = [];
  for (let base = 20_000; base + slotSize <= 65_536; base += slotSize) {
    if (base + slotSize <= ephemeral.first || base > ephemeral.last) slots.push(base);
  }
  const start = Math.floor(Math.random() * slots.length);
  for (const base of [...slots.slice(start), ...slots.slice(0, start)]) {
    const reservation = await reserve(base);
    if (!reservation) continue;
    const last = base + slotSize - 1;
    if (await isFree(base, last)) {
      return { first: base, last, [Symbol.asyncDispose]: () => close(reservation) };
    }
    await close(reservation);
  }
  throw new Error(`no ${slotSize} consecutive free ports outside of ${ephemeral.first}-${ephemeral.last}`);
}

/** Listens on an address, and resolves with the listener; rejects with the error of the system. */
export async function listenOn(host: string, port: number, ipv6Only = false): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  server.listen({ host, port, ipv6Only });
  await once(server, "listening");
  return server;
}

/** Closes a listener or a UDP socket and resolves when it is gone. */
export function close(handle: { close(callback: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => void handle.close(() => resolve()));
}

/** Whether this machine has IPv6. */
export const hasIpv6 = await listenOn("::1", 0).then(
  (server) => close(server).then(() => true),
  () => false,
);

/** Resolves with whether every port of the stretch can be bound as a service would, on IPv4 and on IPv6. */
export async function isFree(first: number, last: number): Promise<boolean> {
  const servers: Server[] = [];
  try {
    for (let port = first; port <= last; port++) {
      servers.push(await listenOn("0.0.0.0", port));
      if (hasIpv6) servers.push(await listenOn("::", port, true));
    }
    return true;
  } catch {
    return false;
  } finally {
    await Promise.all(servers.map(close));
  }
}

async function reserve(port: number): Promise<Socket | undefined> {
  const socket = createSocket("udp4").unref();
  try {
    socket.bind({ port, address: "127.0.0.1", exclusive: true });
    await once(socket, "listening");
    return socket;
  } catch {
    await close(socket);
    return undefined;
  }
}
