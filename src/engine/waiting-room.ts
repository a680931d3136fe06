/**
 * Clients that come while there is no engine.
 *
 * Owns: the addresses of a listener in that time, and the sockets of who connects there: they are held, and when there is an
 * engine again connected with its listener. Does not own: when that is (`kept-listener.ts`).
 * Invariant: nothing of what a client says is read before it can be answered; every socket is ended with its other end.
 *
 * Why: Node cannot hand a socket to another thread, and a client that is refused may not come again.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { encodeMessage } from "../wire/frontend.ts";

/** How long a refused client has to read its error, in ms. */
const farewellMs = 5_000;

type Address = { readonly host: string; readonly port: number } | { readonly path: string };

/** See the head of the file; to be opened and left as often as engines come and go, until somebody is admitted. */
export class WaitingRoom {
  readonly #onWaiting: () => Promise<void>;
  readonly #maxConnections: number;
  /** Those of the last `open`; others than those have been left. */
  #servers: Server[] = [];
  /** Of clients that wait. */
  readonly #sockets = new Set<Socket>();

  /**
   * Calls `onWaiting` for each client, and refuses the client when that rejects. Refuses clients beyond `maxConnections` with 53300.
   */
  constructor(onWaiting: () => Promise<void>, maxConnections: number) {
    this.#onWaiting = onWaiting;
    this.#maxConnections = maxConnections;
  }

  /** Listens on all addresses. Rejects with the system's error, or when it is left meanwhile, and listens nowhere then. */
  async open(addresses: readonly Address[]): Promise<void> {
    const servers: Server[] = [];
    this.#servers = servers;
    try {
      for (const address of addresses) {
        const server = createServer({ pauseOnConnect: true }, (socket) => this.#hold(socket));
        servers.push(server);
        await new Promise<void>((resolve, reject) => {
          server.once("error", reject);
          // One that is closed at once never says that it listens.
          server.once("close", () => reject(new Error("there is an engine again")));
          server.listen(address, resolve);
        });
        if (this.#servers !== servers) throw new Error("there is an engine again");
      }
    } catch (error) {
      stopListening(servers);
      throw error;
    }
  }

  /** Gives the addresses up; who has come stays. */
  leave(): void {
    stopListening(this.#servers);
    this.#servers = [];
  }

  /** Connects everybody with a listener that can answer. */
  admit(listener: { readonly host: string; readonly port: number }): void {
    for (const socket of this.#sockets) {
      const other = connect(listener);
      for (const [one, two] of [
        [socket, other],
        [other, socket],
      ] as const) {
        one.on("error", () => one.destroy());
        one.once("close", () => two.destroySoon());
        one.pipe(two);
      }
    }
    this.#sockets.clear();
  }

  /** Sends everybody away. */
  close(): void {
    this.leave();
    for (const socket of this.#sockets) socket.destroy();
  }

  #hold(socket: Socket): void {
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.#sockets.delete(socket));
    if (this.#sockets.size >= this.#maxConnections) {
      refuse(socket, tooMany);
      return;
    }
    this.#sockets.add(socket);
    this.#onWaiting().catch((error: unknown) => {
      if (this.#sockets.delete(socket)) refuse(socket, unavailable(error));
    });
  }
}

/** Sends a client an error, and ends its connection. */
function refuse(socket: Socket, error: Buffer): void {
  socket.end(error);
  // Unread input would turn the close into a reset, and the client would lose the error.
  socket.resume();
  socket.setTimeout(farewellMs, () => socket.destroy()).unref();
}

/** A server gives its address up at once; its clients are not waited for. */
function stopListening(servers: readonly Server[]): void {
  for (const server of servers) {
    server.close();
    // The name of its host is being looked up.
    if (!server.listening) server.once("listening", () => server.close());
  }
}

/** PostgreSQL's error for a client beyond the limit (CAC_TOOMANY in tcop/backend_startup.c). */
const tooMany = fatal("53300", "sorry, too many clients already");

/** What PostgreSQL says while it cannot start (CAC_STARTUP in tcop/backend_startup.c). */
function unavailable(error: unknown): Buffer {
  const reason = `PostgreSQL could not be started again: ${error instanceof Error ? error.message : String(error)}`;
  return fatal("57P03", "the database system is not accepting connections", `D${reason}`);
}

function fatal(code: string, message: string, ...more: readonly string[]): Buffer {
  return Buffer.from(encodeMessage("E", "SFATAL", "VFATAL", `C${code}`, `M${message}`, ...more, new Uint8Array(1)));
}
