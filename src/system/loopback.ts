/**
 * Whether a connection stays on this machine.
 *
 * Owns: the list of such addresses. Does not own: what may be sent over other connections.
 */
import type { Socket } from "node:net";

/** Whether a connected socket does not use a network: it is a Unix socket, or its peer is a loopback address. */
export function staysHere({ remoteAddress }: Pick<Socket, "remoteAddress">): boolean {
  return remoteAddress === undefined || remoteAddress === "::1" || /^(::ffff:)?127\./.test(remoteAddress);
}
