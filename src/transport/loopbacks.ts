/**
 * The addresses of `localhost`: a client may connect to either, whichever the server was bound to.
 *
 * Owns: the additional listeners. Does not own: their clients, which the server handles like all others.
 * Invariant: as in PostgreSQL, the server logs an address that it cannot bind, and listens on the others.
 */
import { createServer, type Server } from "node:net";
import type { PGLiteSocketServer } from "@electric-sql/pglite-socket";

const addresses = ["127.0.0.1", "::1"];
const backlog = 4096;
/** The machine has no such address. */
const missing = new Set(["EADDRNOTAVAIL", "EAFNOSUPPORT"]);

/** See the head of the file. */
export class Loopbacks {
  readonly #server: PGLiteSocketServer;
  readonly #log: (line: string) => void;
  readonly #listeners: Server[] = [];

  constructor(server: PGLiteSocketServer, log: (line: string) => void) {
    this.#server = server;
    this.#log = log;
  }

  /** Called when the server has its port; `bound` is the address that it listens on. */
  async listen(bound: string): Promise<void> {
    for (const address of addresses) if (address !== bound) await this.#listen(address);
  }

  /** Resolves when their clients are gone, too. The server ends the clients. */
  async close(): Promise<void> {
    await Promise.all(this.#listeners.map((one) => new Promise<void>((resolve) => one.close(() => resolve()))));
  }

  async #listen(host: string): Promise<void> {
    const listener = createServer((socket) => void this.#server.handleConnection(socket));
    const { port } = this.#server;
    const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      listener.once("error", resolve);
      listener.listen({ host, port, backlog }, () => resolve(undefined));
    });
    if (!failure) {
      // The error of one socket that could not be accepted.
      listener.on("error", () => {});
      this.#listeners.push(listener);
    } else if (!missing.has(failure.code ?? ""))
      this.#log(`warning: could not listen on ${host}, port ${port}: ${failure.message}`);
  }
}
