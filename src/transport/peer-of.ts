/**
 * The addresses of a connection.
 *
 * Owns: reading them from its socket. Does not own: how PostgreSQL shows them (`../sessions/peer.ts`).
 */
import type { Socket } from "node:net";
import type { SocketConnection } from "@electric-sql/pglite-socket";
import type { Peer } from "../sessions/peer.ts";

/** See the head of the file. */
export function peerOf({ socket }: SocketConnection): Peer {
  const { remoteAddress, remotePort, localAddress, localPort } = socket as Partial<Socket>;
  if (!remoteAddress || !localAddress) return "socket";
  return {
    client: { address: remoteAddress, port: remotePort ?? 0 },
    server: { address: localAddress, port: localPort ?? 0 },
  };
}
