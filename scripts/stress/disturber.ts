/**
 * Somebody who cancels, terminates and cuts off clients at random moments.
 *
 * Owns: whom it hits, when and how; it notes it at the client before it does it. Does not own: what the client then gets.
 * Invariant: at most one thing at a time; it is over when `stop` resolves.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../../src/trace/storm/random.ts";
import type { Counts } from "./counts.ts";
import type { Session } from "./session.ts";
import type { Worker } from "./worker.ts";

const longestPauseMs = 120;

/** See the head of the file. */
export class Disturber {
  readonly #workers: readonly Worker[];
  readonly #observer: Session;
  readonly #random: Random;
  readonly #counts: Counts;
  #stopping = false;
  readonly #ended: Promise<void>;

  constructor(workers: readonly Worker[], observer: Session, random: Random, counts: Counts) {
    this.#workers = workers;
    this.#observer = observer;
    this.#random = random;
    this.#counts = counts;
    this.#ended = this.#disturb();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#ended;
  }

  async #disturb(): Promise<void> {
    while (!this.#stopping) {
      await sleep(this.#random.below(longestPauseMs));
      const worker = this.#random.pick(this.#workers);
      const { session } = worker;
      if (!session) continue;
      try {
        await this.#hit(worker, session);
      } catch (error) {
        if (!worker.serverEnds) this.#counts.fail(`while disturbing client ${worker.number}: ${String(error)}`);
      }
    }
  }

  async #hit({ disturbed }: Worker, session: Session): Promise<void> {
    const choice = this.#random.below(10);
    if (choice < 3) {
      disturbed.cancels++;
      this.#counts.cancels++;
      await session.cancel();
    } else if (choice < 6) {
      disturbed.cancels++;
      this.#counts.cancels++;
      await this.#observer.query(`select pg_cancel_backend(${session.pid})`);
    } else if (choice < 9) {
      disturbed.mayBeLost = true;
      this.#counts.hangUps++;
      session.hangUp();
    } else {
      disturbed.mayBeLost = true;
      this.#counts.terminations++;
      await this.#observer.query(`select pg_terminate_backend(${session.pid})`);
    }
  }
}
