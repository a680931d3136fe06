/**
 * One listener for clients, through the deaths of the engines that it is on.
 *
 * Owns: which thread it is on, and its addresses, which stay the same. Does not own: listening (`../thread/`,
 * `transport/`), or clients that come while there is no engine (`waiting-room.ts`).
 * Invariant: from the first `listen` to `stop` a client that connects is answered, by an engine or by an error.
 */
import type { EngineWorker } from "./engine-worker.ts";
import type { ListenOptions, Transport, TransportStats } from "./listener.ts";
import { limits } from "./thread/limits.ts";
import { WaitingRoom } from "./waiting-room.ts";
import { within } from "./within.ts";

/** How often, and how long apart in ms, an address that has just been given up is asked for. */
const attempts = 20;
const attemptIntervalMs = 50;

/** Who is told what of it. */
interface ListenerEvents {
  onStopped(): void;
  /** A client waits for an engine; rejects when there is none. */
  onWaiting(): Promise<void>;
}

/** See the head of the file. */
export class KeptListener implements Transport {
  readonly options: ListenOptions;
  readonly #number: number;
  readonly #events: ListenerEvents;
  #worker: EngineWorker | undefined;
  #port = 0;
  #room: WaitingRoom | undefined;
  #stopping: Promise<void> | undefined;

  constructor(number: number, options: ListenOptions, events: ListenerEvents) {
    this.options = options;
    this.#number = number;
    this.#events = events;
  }

  get host(): string {
    return this.options.host;
  }

  get port(): number {
    return this.#port;
  }

  get socketDir(): string | undefined {
    return this.options.socketDir;
  }

  get password(): string | undefined {
    return this.options.password;
  }

  get offersTls(): boolean {
    return this.options.certificate !== undefined;
  }

  isOn(worker: EngineWorker): boolean {
    return this.#worker === worker;
  }

  /** Listens for the first time. Rejects with the system's error. */
  async listen(worker: EngineWorker): Promise<void> {
    this.#worker = worker;
    const { log: _, ...options } = this.options;
    this.#port = await worker.ask("listen", this.#number, options);
  }

  /** Its thread has died: clients wait here from now on. */
  async abandoned(worker: EngineWorker): Promise<void> {
    if (this.#worker !== worker || this.#stopping || this.#port === 0) return;
    const { host, socketDir } = this.options;
    const room = new WaitingRoom(() => this.#events.onWaiting());
    this.#room = room;
    const addresses = [{ host, port: this.#port }, ...(socketDir ? [{ path: socketPath(socketDir, this.#port) }] : [])];
    await insist(() => room.open(addresses)).catch((error: Error) => {
      this.options.log?.(`nobody listens on port ${this.#port} until there is a new engine: ${error.message}`);
    });
  }

  /** Listens again where it did, on a thread that takes the place of the one before. */
  async moveTo(worker: EngineWorker): Promise<void> {
    if (this.#stopping) return;
    this.#worker = worker;
    const { log: _, ...options } = this.options;
    const room = this.#room;
    this.#room = undefined;
    room?.leave();
    try {
      await insist(() => worker.ask("listen", this.#number, { ...options, port: this.#port }));
    } catch (error) {
      room?.close();
      void this.abandoned(worker);
      throw error;
    }
    const { host } = this.options;
    const reachable: Record<string, string> = { "0.0.0.0": "127.0.0.1", "::": "::1" };
    room?.admit({ host: reachable[host] ?? host, port: this.#port });
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async stats(): Promise<TransportStats> {
    const { maxConnections } = this.options;
    const nothing: TransportStats = { activeConnections: 0, queuedQueries: 0, maxConnections, connections: [] };
    if (!this.#worker || this.#stopping) return nothing;
    // A thread that dies takes its connections with it.
    return this.#worker.ask("stats", this.#number).catch(() => nothing);
  }

  async #stop(): Promise<void> {
    this.#events.onStopped();
    this.#room?.close();
    const stopped = this.#worker?.ask("stopListening", this.#number).catch(() => {});
    if (stopped) await within(limits.stopListeningMs, stopped);
  }
}

function socketPath(directory: string, port: number): string {
  return `${directory}/.s.PGSQL.${port}`;
}

/** Tries again while the address is still that of a thread that is ending. */
async function insist(listen: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await listen();
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || attempt === attempts) throw error;
      await new Promise((resolve) => setTimeout(resolve, attemptIntervalMs));
    }
  }
}
