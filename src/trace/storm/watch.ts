/**
 * Tells a client of the storm that waits in vain from a server that is slow.
 *
 * Owns: when to give up waiting. Does not own: what a client does then.
 * Invariant: no client is given up because time has passed, as a machine can be slow: only when the server has answered
 * somebody who came later, which is asked for with a connection of its own, or when it has answered nobody for long.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { encodeQuery } from "../../wire/frontend.ts";
import { RawConnection, type ServerAddress } from "./raw-connection.ts";
import type { StormClient } from "./storm-client.ts";

// A client that has waited for this long is looked after.
const overdueMs = 150;

/** Watches over the clients of one storm; `look` has to be called again and again. */
export class Watch {
  /** When the server last gave a sign of life, on the clock of `performance.now()`. */
  lastSign = performance.now();
  readonly #address: ServerAddress;
  readonly #clients: readonly StormClient[];
  readonly #silenceMs: number;
  readonly #stop: (reason: string) => void;
  #probe: RawConnection | undefined;

  constructor(
    address: ServerAddress,
    clients: readonly StormClient[],
    silenceMs: number,
    stop: (reason: string) => void,
  ) {
    this.#address = address;
    this.#clients = clients;
    this.#silenceMs = silenceMs;
    this.#stop = stop;
  }

  /** Hangs up for clients that wait in vain, and calls `stop` when the server has stopped. */
  async look(): Promise<void> {
    const now = performance.now();
    if (now - this.lastSign > this.#silenceMs) {
      this.#stop(`the server stopped answering (nothing for ${this.#silenceMs / 1000} s)`);
      return;
    }
    if (this.#probe) return;
    const overdue = this.#clients.flatMap(({ connection }) => {
      const waitingSince = connection?.waitingSince;
      return connection && waitingSince !== undefined && now - waitingSince > overdueMs
        ? [{ connection, waitingSince }]
        : [];
    });
    if (overdue.length === 0) return;
    if (!(await this.#serverAnswers())) return;
    // What the server had answered before is in the sockets by now, and is read in this turn.
    await nextTurn();
    await nextTurn();
    for (const { connection, waitingSince } of overdue) {
      if (connection.waitingSince === waitingSince) connection.hangUp("silence");
    }
  }

  /** Closes what is open. */
  end(): void {
    this.#probe?.hangUp();
  }

  /** It may take as long as the server likes: `look` and `end` bound it. */
  async #serverAnswers(): Promise<boolean> {
    const probe = new RawConnection(this.#address, "storm watch");
    this.#probe = probe;
    try {
      if (!(await probe.login())) return false;
      await probe.send([encodeQuery("select 1")]);
      if (!(await probe.next())) return false;
      this.lastSign = performance.now();
      return true;
    } finally {
      probe.hangUp();
      this.#probe = undefined;
    }
  }
}
