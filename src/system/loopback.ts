/**
 * Whether a connection stays on this machine.
 *
 * Owns: the addresses of which that is true. Does not own: what may be said over other ones.
 */
import type { Socket } from "node:net";

/** Whether nobody on a network can read what goes over a connected socket: it is a Unix socket, or goes to a loopback address. */
export function staysHere({ remoteAddress }: Pick<Socket, "remoteAddress">): boolean {
  return remoteAddress === undefined || remoteAddress === "::1" || /^(::ffff:)?127\./.test(remoteAddress);
}
