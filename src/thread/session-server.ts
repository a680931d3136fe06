/**
 * What an engine thread with a session for each client does: it listens for them, and answers the main thread's requests.
 *
 * Owns: its doors for clients, the session that the process itself uses, what becomes of all when PostgreSQL crashes. Does not
 * own: PostgreSQL and its sessions (`engine/thread/sessions/`), one client (`transport/`).
 * Invariant: the JavaScript of this thread outlives PostgreSQL: whoever is connected is told of a crash before it ends, and
 * nothing of PostgreSQL runs meanwhile, because the next engine may be at work in the directory.
 */
import type { MessagePort } from "node:worker_threads";
import type { EngineDeath } from "../engine/engine.ts";
import type { ListenOptions } from "../engine/listener.ts";
import { packError, unpackError } from "../engine/sent-error.ts";
import { limits } from "../engine/thread/limits.ts";
import type {
  IsolatedOptions,
  ThreadCall,
  ThreadMessage,
  ThreadRequest,
  ThreadRequests,
} from "../engine/thread/protocol.ts";
import type { SessionHost } from "../engine/thread/sessions/host.ts";
import type { Holding } from "../transport/holding.ts";
import { IsolatedQueue } from "../transport/isolated-queue.ts";
import { type Door, openDoor } from "../transport/serve.ts";
import { watchHolders } from "./holder-watch.ts";
import { OwnSession } from "./own-session.ts";
import { watchTurns } from "./turn-watch.ts";

/** A door that is open, or being opened. */
interface Opened {
  readonly queue: IsolatedQueue;
  readonly door: Promise<Door>;
}

type Handlers = {
  readonly [Kind in keyof ThreadRequests]: (
    ...parameters: Parameters<ThreadRequests[Kind]>
  ) => Promise<ReturnType<ThreadRequests[Kind]>>;
};

/** The library asks its engine for nothing but this where the queue is another one than its own. */
const noEngine = {
  waitReady: Promise.resolve(),
  runExclusive: () => Promise.reject(new Error("there is no shared session")),
  execProtocolRawStream: () => Promise.reject(new Error("there is no shared session")),
};

/** See the head of the file. */
export class SessionServer {
  readonly #host: SessionHost;
  readonly #port: MessagePort;
  readonly #options: IsolatedOptions;
  readonly #opened = new Map<number, Opened>();
  #own: OwnSession | undefined;
  #tellClients: (farewell: EngineDeath["farewell"]) => void = () => undefined;

  constructor(host: SessionHost, port: MessagePort, options: IsolatedOptions) {
    this.#host = host;
    this.#port = port;
    this.#options = options;
  }

  /** Takes requests from now on. */
  start(): void {
    const watches = [
      watchTurns(this.#host, this.#options),
      watchHolders(this.#host, this.#options, (holding) => this.#held(holding)),
    ];
    this.#host.scheduler.onTurn = (session) => {
      for (const onTurn of watches) onTurn?.(session);
    };
    void this.#host.crash.then((error) => this.#die(error));
    // What nobody has expected leaves PostgreSQL in no known state either.
    process.on("uncaughtException", (error) => void this.#host.crashed(error));
    this.#port.on("message", (request: ThreadRequest) => {
      if (request.kind === "held") this.#tellClients(request.farewell);
      else if (request.kind === "fail") void this.#host.crashed(unpackError(request.cause));
      else void this.#answer(request);
    });
    this.#post({ kind: "serving" });
  }

  async #answer({ kind, id, parameters }: ThreadCall): Promise<void> {
    try {
      const handler = this.#handlers[kind] as (...parameters: unknown[]) => Promise<unknown>;
      this.#post({ kind: "answer", id, value: await handler(...parameters) });
    } catch (error) {
      this.#post({ kind: "answer", id, error: packError(error) });
    }
    if (kind === "close") this.#port.close();
  }

  readonly #handlers: Handlers = {
    execute: (messages) => {
      this.#own ??= new OwnSession(this.#host);
      return this.#own.run(messages);
    },
    listen: async (listener, options) => {
      // What the start itself used would be seen by the clients.
      await this.#own?.close();
      this.#own = undefined;
      return (await this.#open(listener, options)).port;
    },
    stopListening: async (listener) => {
      const opened = this.#opened.get(listener);
      this.#opened.delete(listener);
      await opened?.door.then((door) => door.stop());
    },
    stats: async (listener) => {
      const door = await this.#opened.get(listener)?.door;
      if (!door) throw new Error("nobody listens there");
      return door.stats();
    },
    close: async () => {
      for (const listener of [...this.#opened.keys()]) await this.#handlers.stopListening(listener);
      await this.#host.close();
    },
  };

  async #open(listener: number, options: Omit<ListenOptions, "log">): Promise<Door> {
    const queue = new IsolatedQueue(this.#host);
    const log = (line: string): void => this.#post({ kind: "line", listener, line });
    const door = openDoor({ db: noEngine, queue }, { ...options, log });
    this.#opened.set(listener, { queue, door });
    try {
      return await door;
    } catch (error) {
      this.#opened.delete(listener);
      throw error;
    }
  }

  #held(holding: Holding): void {
    for (const { queue } of this.#opened.values()) queue.held(holding);
  }

  /** PostgreSQL has crashed: once, because that is settled once. */
  async #die(cause: unknown): Promise<void> {
    const error = packError(cause);
    const death = new Promise<EngineDeath>((resolve) => {
      const { consequence } = this.#options;
      this.#tellClients = (farewell) =>
        resolve({ cause: new Error(error.message), consequence, ...(farewell ? { farewell } : {}) });
      setTimeout(this.#tellClients, limits.heldMs, undefined);
    });
    const stops = [...this.#opened.values()].map(async ({ queue, door }) => {
      const told = queue.crashed(death);
      await (await door).stop();
      await told;
    });
    const runs = [...this.#opened.values()].flatMap(({ queue }) => queue.recent.take());
    // By then the doors have given up their addresses.
    setImmediate(() => this.#post({ kind: "dying", cause: error, runs }));
    const limit = new Promise((resolve) => setTimeout(resolve, limits.lastWordsMs));
    await Promise.race([Promise.allSettled(stops), limit]);
    process.exit(1);
  }

  #post(message: ThreadMessage): void {
    this.#port.postMessage(message);
  }
}
