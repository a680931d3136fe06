/**
 * The listener that only the setup and the seed of a start know.
 *
 * Owns: how long it listens. Does not own: what they do (`setup.ts`).
 * Invariant: a client that they leave open stays connected until the database is closed: the end of its connection is an
 * `error` event, which without a listener ends the process.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Transport } from "../engine/listener.ts";
import type { Log } from "../options.ts";

/** How long a client that has said good-bye may take to leave, in ms. */
const leaveMs = 100;
const lookAgainMs = 5;

/** See the head of the file. */
export class SetupListener {
  readonly #log: Log;
  readonly #left = new Set<Transport>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Runs a step, called `name` in the log, while a listener is there. */
  async use(
    name: string,
    listen: () => Promise<Transport>,
    step: (transport: Transport) => Promise<void>,
  ): Promise<void> {
    const transport = await listen();
    this.#left.add(transport);
    await step(transport);
    const open = await stillOpen(transport);
    if (open > 0) {
      const connections = open === 1 ? "1 connection" : `${open} connections`;
      this.#log("info", `the ${name} left ${connections} open; close clients before it returns`);
      return;
    }
    this.#left.delete(transport);
    await transport.stop();
  }

  /** Ends the clients that are left. Those of an engine that has died are gone with it. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#left].map((transport) => transport.stop()));
    this.#left.clear();
  }
}

async function stillOpen(transport: Transport): Promise<number> {
  const deadline = performance.now() + leaveMs;
  for (;;) {
    const { activeConnections } = await transport.stats();
    if (activeConnections === 0 || performance.now() >= deadline) return activeConnections;
    await delay(lookAgainMs);
  }
}
