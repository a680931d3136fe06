/**
 * One listener for clients, through the deaths of the engines that it is on.
 *
 * Owns: which thread it is on, and its addresses, which stay the same. Does not own: listening (`../thread/`,
 * `transport/`), or clients that come while there is no engine (`waiting-room.ts`).
 * Invariant: from the first `listen` to `stop` a client that connects is answered, by an engine or by an error. There is at
 * most one waiting room, from a death until a thread has taken its clients over, however many threads die meanwhile.
 */

import { limits } from "../limits.ts";
import type { EngineWorker } from "./engine-worker.ts";
import { type ListenOptions, reachableHost, type Transport, type TransportStats } from "./listener.ts";
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
  /** Absent from its death until another one is asked to listen. */
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
    this.#worker = undefined;
    this.#room ??= new WaitingRoom(() => this.#events.onWaiting(), this.options.maxConnections);
    const room = this.#room;
    const { host, socketDir } = this.options;
    const addresses = [{ host, port: this.#port }, ...(socketDir ? [{ path: socketPath(socketDir, this.#port) }] : [])];
    const isWanted = () => this.#worker === undefined && !this.#stopping;
    await insist(() => room.open(addresses), isWanted).catch((error: Error) => {
      if (!isWanted()) return;
      this.options.log?.(
        `could not listen on port ${this.#port} before the new engine starts: ${error.message}`,
        "info",
      );
    });
  }

  /** Listens again where it did, on a thread that takes the place of the one before. */
  async moveTo(worker: EngineWorker): Promise<void> {
    if (this.#stopping) return;
    this.#worker = worker;
    const { log: _, ...options } = this.options;
    this.#room?.leave();
    try {
      await insist(
        () => worker.ask("listen", this.#number, { ...options, port: this.#port }),
        () => this.#worker === worker,
      );
    } catch (error) {
      // If it has not died, but somebody else has the address: the next attempt may be luckier.
      void this.abandoned(worker);
      throw error;
    }
    if (this.#stopping) {
      // The thread was asked to stop before it listened.
      await worker.stopListening(this.#number).catch(() => {});
      return;
    }
    this.#room?.admit({ host: reachableHost(this.options.host), port: this.#port });
    this.#room = undefined;
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
    const stopped = this.#worker?.stopListening(this.#number).catch(() => {});
    if (stopped) await within(limits.stopListeningMs, stopped);
  }
}

function socketPath(directory: string, port: number): string {
  return `${directory}/.s.PGSQL.${port}`;
}

/** Tries again while the address is still that of a thread that is ending, and while it is wanted. */
async function insist(listen: () => Promise<unknown>, isWanted: () => boolean): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await listen();
      return;
    } catch (error) {
      const isTaken = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
      if (!isTaken || attempt === attempts || !isWanted()) throw error;
      await new Promise((resolve) => setTimeout(resolve, attemptIntervalMs));
      if (!isWanted()) throw error;
    }
  }
}
