/**
 * The Unix socket `DIR/.s.PGSQL.PORT`, which libpq finds by its directory.
 *
 * Owns: its listener. Does not own: its clients, which are the server's like all others.
 * Invariant: a socket that answers, and a file that is none, are left alone.
 */
import { lstatSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import type { PGLiteSocketServer } from "@electric-sql/pglite-socket";

/** As many as wait for a server's port. */
const backlog = 4096;

/** The listener for a server. */
export class SocketDirectory {
  readonly #directory: string;
  readonly #server: PGLiteSocketServer;
  readonly #listener: Server;

  constructor(directory: string, server: PGLiteSocketServer) {
    this.#directory = directory;
    this.#server = server;
    this.#listener = createServer((socket) => void server.handleConnection(socket));
  }

  /** Rejects with the system's error. Called when the server has its port. */
  async listen(): Promise<void> {
    const path = join(this.#directory, `.s.PGSQL.${this.#server.port}`);
    await removeStaleSocket(path);
    await new Promise<void>((resolve, reject) => {
      this.#listener.once("error", reject);
      this.#listener.listen({ path, backlog }, resolve);
    });
    // Of one socket that could not be accepted.
    this.#listener.on("error", () => {});
  }

  /** Resolves when its clients have gone, too, which the server sees to. */
  close(): Promise<void> {
    return new Promise((resolve) => this.#listener.close(() => resolve()));
  }
}

/** A socket file whose server is gone would be EADDRINUSE for ever; one that answers is somebody's. */
async function removeStaleSocket(path: string): Promise<void> {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return;
  const refused = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => resolve(false));
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"));
    probe.once("connect", () => probe.destroy());
  });
  if (refused) unlinkSync(path);
}
