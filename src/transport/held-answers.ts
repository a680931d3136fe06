/**
 * Answers that wait for one another, so that those of all clients that asked together leave together.
 *
 * Owns: which sockets are corked, and when they are let go. Does not own: what is written to them.
 * Invariant: nothing is held longer than until the event loop has looked at all sockets. A connection that ends is sent
 * what is held first; Node sees to that.
 *
 * Why: a client that sleeps has to be woken, which may cost more than to run what it asked; of several answers that leave
 * together, only the first one pays for it.
 */
import type { Duplex } from "node:stream";
import type { SocketConnection } from "@electric-sql/pglite-socket";

const corked: Duplex[] = [];

/** Holds what is sent to the client from now on. */
export function holdAnswers({ socket }: SocketConnection): void {
  if (socket.writableCorked > 0) return;
  if (corked.length === 0) setImmediate(sendHeldAnswers);
  socket.cork();
  corked.push(socket);
}

/** Sends what is held, of all clients, now. */
export function sendHeldAnswers(): void {
  for (const socket of corked.splice(0)) socket.uncork();
}
