/**
 * The processes that PostgreSQL has beside those of the clients: the checkpointer and the WAL writer.
 *
 * Owns: starting and ending both. Does not own: either (`checkpointer.ts`, `auxiliary-process.ts`).
 */

import { AuxiliaryProcess } from "./auxiliary-process.ts";
import { Checkpointer } from "./checkpointer.ts";
import { Signal } from "./postgres-process.ts";
import type { Located } from "./rewrite/postgres.ts";
import type { SessionContext } from "./session-context.ts";

/** Beside the checkpointer's. */
const walWriterPid = 44;

/** One pair of them, which is started and ended once. */
export class Auxiliaries {
  readonly checkpointer: Checkpointer;
  readonly #walWriter: AuxiliaryProcess;

  constructor(host: SessionContext, postmaster: ConstructorParameters<typeof Checkpointer>[1]) {
    this.checkpointer = new Checkpointer(host, postmaster);
    this.#walWriter = new AuxiliaryProcess(host, walWriterPid, postmaster, () => host.entry.walWriterMain(0, 0));
  }

  get all(): readonly AuxiliaryProcess[] {
    return [this.checkpointer.process, this.#walWriter];
  }

  /** `hasReloaded`: the configuration files have changed since the postmaster's image was taken. Throws when they do not come up. */
  start({ addresses }: Located, hasReloaded: boolean): void {
    this.checkpointer.start(addresses.checkpointerShared);
    this.#walWriter.start();
    if (hasReloaded) for (const process of this.all) process.signal(Signal.hangup);
  }

  /** Ends PostgreSQL, when all sessions have ended. Rejects when the last checkpoint failed. */
  async shutDown(): Promise<void> {
    await this.#walWriter.end(Signal.terminate);
    await this.checkpointer.shutDown();
  }

  /** Has them exit. There is no last checkpoint: the checkpointer is told to write that by another signal. */
  async exit(): Promise<void> {
    await this.#walWriter.end(Signal.terminate);
    await this.checkpointer.process.end(Signal.user2);
  }

  /** Has them go without a word. */
  async dismiss(): Promise<void> {
    await Promise.all(this.all.map((process) => process.dismiss()));
  }
}
