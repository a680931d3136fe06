/**
 * The addresses of a client and its server that PostgreSQL shows: `inet_client_addr()` and its like, `pg_stat_activity`, the log.
 *
 * Owns: the addresses in a backend's `Port`. Does not own: the sockets (`../transport/`).
 * Mirrors `struct Port` (libpq/libpq-be.h), `SockAddr` (libpq/pqcomm.h) and musl's `sockaddr_in`, `sockaddr_in6`.
 * Invariant: as in PostgreSQL, a Unix socket has no address.
 */
import { isIPv4 } from "node:net";
import type { Machine } from "./machine.ts";

/** One end of a connection. */
interface End {
  readonly address: string;
  readonly port: number;
}

/** Both ends; a Unix socket has none. */
export type Peer = { readonly client: End; readonly server: End } | "socket";

/** Offsets in `Port`. */
const serverAddress = 12;
const clientAddress = 144;
const clientHost = 276;
const clientPort = 292;

/** The size of a `sockaddr_storage`; the field with the address's length follows it. */
const storageBytes = 128;
/** musl's `AF_UNIX`, `AF_INET`, `AF_INET6`. */
const Family = { unix: 1, inet: 2, inet6: 10 } as const;

/** Writes the two ends into the Port at an address. */
export function setPeer(machine: Machine, port: number, peer: Peer): void {
  const [client, server] = peer === "socket" ? [undefined, undefined] : [peer.client, peer.server];
  machine.write(port + serverAddress, socketAddress(server));
  machine.write(port + clientAddress, socketAddress(client));
  // In the form of pg_getnameinfo_all(), which fills remote_host and remote_port.
  machine.setWord(port + clientHost, string(machine, client ? plain(client.address) : "[local]"));
  machine.setWord(port + clientPort, string(machine, client ? String(client.port) : ""));
}

function socketAddress(end: End | undefined): Uint8Array {
  const bytes = Buffer.alloc(storageBytes + 4);
  const address = end && plain(end.address);
  const family = address === undefined ? Family.unix : isIPv4(address) ? Family.inet : Family.inet6;
  bytes.writeUInt16LE(family, 0);
  if (end) bytes.writeUInt16BE(end.port, 2);
  if (family === Family.inet) bytes.set(address!.split(".").map(Number), 4);
  if (family === Family.inet6) bytes.set(bytesOf(address!), 8);
  bytes.writeUInt32LE({ [Family.unix]: 2, [Family.inet]: 16, [Family.inet6]: 28 }[family], storageBytes);
  return bytes;
}

/** Removes a link-local address's zone, and the prefix of an IPv4 address on an IPv6 socket. */
function plain(address: string): string {
  return address.replace(/%.*$/, "").replace(/^::ffff:(?=\d+\.)/i, "");
}

/** Returns the 16 bytes of an IPv6 address in Node's notation. */
function bytesOf(address: string): number[] {
  const [head = "", tail] = address.split("::").map((part) => part.split(":").filter((group) => group !== ""));
  const rest = tail ?? [];
  const zeros = Array.from({ length: 8 - head.length - rest.length }, () => "0");
  return [...head, ...zeros, ...rest].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

function string(machine: Machine, text: string): number {
  const bytes = Buffer.from(`${text}\0`);
  const address = machine.function("malloc")(bytes.length);
  machine.write(address, bytes);
  return address;
}
