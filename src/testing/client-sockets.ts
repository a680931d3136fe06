/**
 * The sockets of a client of a database, as far as it lets them be seen.
 *
 * Owns: where pg and postgres.js have them, and waiting for them. Does not own: ending the client.
 * Invariant: a client that has them elsewhere, or none, is not waited for; nothing here throws because of one.
 */

/** What is used of a socket of `node:net` or `node:tls`. */
interface ClosingSocket {
  readonly closed: boolean;
  readonly destroyed: boolean;
  /** Whether it has no connection: not yet, or not any more. */
  readonly pending: boolean;
  once(event: "close", listener: () => void): unknown;
}

/** A Pool or a Client of pg, in the parts that are no part of its interface; and a client of postgres.js. */
interface Insides {
  readonly _clients?: readonly Insides[];
  readonly connection?: { readonly stream?: Partial<ClosingSocket> };
  readonly close?: () => Promise<unknown>;
}

/**
 * Notes what `client` has now, before it is told to end. The result, called when it says that it has ended, resolves
 * when the last of its sockets is closed.
 */
export function watchSockets(client: object): () => Promise<void> {
  const insides = client as Insides;
  // postgres.js: `end` does not wait for the socket of a query that was under way; `close`, once more, does.
  if (typeof client === "function") return async () => void (await insides.close?.());
  const members = Array.isArray(insides._clients) ? [...insides._clients] : [insides];
  return async () => {
    // TLS puts another socket in the place of the first: they are looked at now, when each has its last one.
    await Promise.all(members.map(({ connection }) => untilClosed(connection?.stream)));
  };
}

async function untilClosed(socket: Partial<ClosingSocket> | undefined): Promise<void> {
  if (!socket || typeof socket.once !== "function") return;
  const isOpen = socket.destroyed ? socket.closed === false : socket.pending === false;
  if (isOpen) await new Promise<void>((resolve) => socket.once!("close", resolve));
}
