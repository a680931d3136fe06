/**
 * The listener for the setup and the seed of a start.
 *
 * Owns: how long it listens. Does not own: the setup and the seed (`setup.ts`).
 * Invariant: a client that they leave open stays connected until the database is closed. The end of its connection emits
 * `error`, which ends the process if no listener handles it.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Transport } from "../engine/listener.ts";
import type { Log } from "../options.ts";

/** The time for a client to disconnect after its Terminate message, in ms. */
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

  /** Ends the remaining clients. The clients of a dead engine are already gone. */
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
