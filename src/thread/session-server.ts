/**
 * What an engine thread does: it listens for clients, and answers the main thread's requests.
 *
 * Owns: its doors for clients, what becomes of all when PostgreSQL crashes. Does not own: PostgreSQL and its sessions
 * (`served.ts`), one client (`transport/`).
 * Invariant: the JavaScript of this thread outlives PostgreSQL: whoever is connected is told of a crash before it ends, and
 * nothing of PostgreSQL runs meanwhile, because the next engine may be at work in the directory.
 */
import type { MessagePort } from "node:worker_threads";
import type { Branches } from "../engine/branches.ts";
import type { EngineDeath } from "../engine/engine.ts";
import type { ListenerLog, ListenOptions } from "../engine/listener.ts";
import type { States } from "../engine/states.ts";
import type { ThreadCall, ThreadMessage, ThreadRequest, ThreadRequests } from "../engine/thread/protocol.ts";
import { limits } from "../limits.ts";
import { packError, unpackError } from "../system/sent-error.ts";
import { Recorder } from "../trace/record/recorder.ts";
import { type Behind, type Door, openDoor } from "../transport/serve.ts";
import type { Served } from "./served.ts";

/** A door that is open, or being opened. */
interface Opened {
  readonly behind: Behind;
  readonly door: Promise<Door>;
  readonly recorder: Recorder | undefined;
}

type Handlers = {
  readonly [Kind in keyof ThreadRequests]: (
    ...parameters: Parameters<ThreadRequests[Kind]>
  ) => Promise<ReturnType<ThreadRequests[Kind]>>;
};

/** See the head of the file. */
export class SessionServer {
  readonly #served: Served;
  readonly #port: MessagePort;
  readonly #consequence: string;
  readonly #opened = new Map<number, Opened>();
  #tellClients: (farewell: EngineDeath["farewell"]) => void = () => undefined;

  /** `consequence`: what a death of the engine means for the data; for the clients, a sentence. */
  constructor(served: Served, port: MessagePort, consequence: string) {
    this.#served = served;
    this.#port = port;
    this.#consequence = consequence;
  }

  /** Takes requests from now on. */
  start(): void {
    void this.#served.crash.then((error) => this.#die(error));
    // What nobody has expected leaves PostgreSQL in no known state either.
    process.on("uncaughtException", (error) => this.#served.crashed(error));
    this.#port.on("message", (request: ThreadRequest) => {
      if (request.kind === "held") this.#tellClients(request.farewell);
      else if (request.kind === "fail") this.#served.crashed(unpackError(request.cause));
      else if (request.kind !== "abandon") void this.#answer(request);
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
    execute: (messages) => this.#served.run(messages),
    logIn: (login) => this.#served.logIn(login),
    listen: async (listener, options) => {
      await this.#served.endOwn();
      return (await this.#open(listener, options)).port;
    },
    stopListening: async (listener) => {
      const opened = this.#opened.get(listener);
      this.#opened.delete(listener);
      await opened?.door.then((door) => door.stop());
      opened?.behind.closed?.();
      await opened?.recorder?.close();
    },
    stats: async (listener) => {
      const door = await this.#opened.get(listener)?.door;
      if (!door) throw new Error("nobody listens there");
      return door.stats();
    },
    createBranch: async (source, name) =>
      this.#branches.create((await this.#served.databaseFor?.(source)) ?? source, name),
    dropBranch: (database) => this.#branches.drop(database),
    beginStates: (database) => this.#states.begin(database),
    resetState: async (database) => {
      await this.#states.reset(database);
      this.#record("reset", database);
    },
    keepState: async (database, name) => {
      await this.#states.snapshot(database, name);
      this.#record("snapshot", `${database} ${name}`);
    },
    restoreState: async (database, name) => {
      await this.#states.restore(database, name);
      this.#record("restore", `${database} ${name}`);
    },
    dropState: (database, name) => this.#states.drop(database, name),
    changeClock: (change) => {
      if (!this.#served.changeClock) throw new Error("one session for all has the machine's clock");
      return this.#served.changeClock(change);
    },
    close: async () => {
      for (const listener of [...this.#opened.keys()]) await this.#handlers.stopListening(listener);
      await this.#served.close();
    },
  };

  #record(...change: Parameters<Recorder["broughtBack"]>): void {
    for (const { recorder } of this.#opened.values()) recorder?.broughtBack(...change);
  }

  get #branches(): Branches {
    if (!this.#served.branches) throw new Error("one session for all has one database");
    return this.#served.branches;
  }

  get #states(): States {
    if (!this.#served.states) throw new Error("one session for all cannot be brought back");
    return this.#served.states;
  }

  async #open(listener: number, options: Omit<ListenOptions, "log">): Promise<Door> {
    const log: ListenerLog = (line, level = "debug") => this.#post({ kind: "line", listener, line, level });
    const { trace } = options;
    const recorder = trace && new Recorder(trace, (text) => this.#post({ kind: "log", level: "error", text }));
    const behind = this.#served.behind({ ...options, log }, recorder);
    const door = openDoor(behind, { ...options, log }, recorder?.tap);
    this.#opened.set(listener, { behind, door, recorder });
    try {
      return await door;
    } catch (error) {
      this.#opened.delete(listener);
      behind.closed?.();
      await recorder?.close();
      throw error;
    }
  }

  /** PostgreSQL has crashed: once, because that is settled once. */
  async #die(cause: unknown): Promise<void> {
    const error = packError(cause);
    const death = new Promise<EngineDeath>((resolve) => {
      const consequence = this.#consequence;
      this.#tellClients = (farewell) =>
        resolve({ cause: new Error(error.message), consequence, ...(farewell ? { farewell } : {}) });
      setTimeout(this.#tellClients, limits.heldMs, undefined);
    });
    const stops = [...this.#opened.values()].map(async ({ behind, door, recorder }) => {
      const told = behind.crashed(death);
      await (await door).stop();
      await told;
      await recorder?.close();
    });
    const runs = [...this.#opened.values()].flatMap(({ behind }) => behind.takeRuns());
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
