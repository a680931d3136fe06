/**
 * `reset`, `snapshot` and `restore` in memory: states of the whole server, kept and gone back to.
 *
 * Owns: which states are kept, what becomes of clients. Does not own: keeping one and going back (`sessions/rewind.ts`), one
 * client (`transport/client-session.ts`).
 * Invariant: one at a time; a state is kept only when no client is at work, so that it has no half of a transaction.
 */
import { setTimeout as delay } from "node:timers/promises";
import { checkSnapshotName } from "../engine/snapshots.ts";
import type { ServedStates } from "../engine/states.ts";
import { SqlStateError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { SessionHost } from "../sessions/host.ts";
import type { Mark } from "../sessions/rewind.ts";
import type { ClientSession } from "../transport/client-session.ts";
import type { IsolatedQueue } from "../transport/isolated-queue.ts";
import type { DatabaseBranches } from "./database-branches.ts";
import { noSnapshot, nothingToResetTo, notKept } from "./state-errors.ts";

/** How long to wait between two looks at what clients do, in ms. */
const lookAgainMs = 1;

/** Runs `work` when the server's own sessions have ended, and while they do not begin; not any more when the signal is given before. */
export type WithoutOwn = <T>(work: () => Promise<T>, signal?: AbortSignal) => Promise<T>;

/** Branches that nobody has asked for, and that no state has: whoever went back to it would not know of them. */
type Prepared = Pick<DatabaseBranches, "dropPrepared" | "forgetPrepared">;

/** See the head of the file. */
export class ServerStates implements ServedStates {
  readonly #host: SessionHost;
  readonly #queues: readonly IsolatedQueue[];
  readonly #prepared: Prepared;
  readonly #withoutOwn: WithoutOwn;
  readonly #kept = new Map<string, Mark>();
  /** What `reset` goes back to, or why there is nothing. */
  #beginning: Mark | string = notKept;

  /** `queues`: those of the clients. */
  constructor(host: SessionHost, queues: readonly IsolatedQueue[], prepared: Prepared, withoutOwn: WithoutOwn) {
    this.#host = host;
    this.#queues = queues;
    this.#prepared = prepared;
    this.#withoutOwn = withoutOwn;
  }

  begin(): Promise<void> {
    return this.#withoutOwn(async () => {
      await this.#prepared.dropPrepared();
      const [client] = this.#atWork();
      const why = client
        ? `${client.describe()} was at work when the server became ready, and the state of that moment could not be kept`
        : this.#host.marks.obstacle;
      this.#beginning = why ?? (await this.#mark());
    });
  }

  reset(): Promise<void> {
    return this.#withoutOwn(async () => {
      if (typeof this.#beginning === "string") throw nothingToResetTo(this.#beginning);
      await this.#rewind(this.#beginning);
    });
  }

  /** Rejects with the signal's reason if that is given while it waits. */
  async snapshot(_database: string, name: string, signal?: AbortSignal): Promise<void> {
    checkSnapshotName(name);
    return this.#withoutOwn(async () => {
      await this.#prepared.dropPrepared();
      await this.#quiet(signal);
      const mark = await this.#mark();
      const before = this.#kept.get(name);
      this.#kept.set(name, mark);
      if (before) this.#host.marks.release(before);
    }, signal);
  }

  restore(_database: string, name: string): Promise<void> {
    return this.#withoutOwn(async () => {
      await this.#rewind(this.#find(name));
    });
  }

  drop(_database: string, name: string): Promise<void> {
    return this.#withoutOwn(async () => {
      this.#host.marks.release(this.#find(name));
      this.#kept.delete(name);
    });
  }

  async names(): Promise<string[]> {
    return [...this.#kept.keys()];
  }

  #find(name: string): Mark {
    const mark = this.#kept.get(name);
    if (!mark) throw noSnapshot(name, [...this.#kept.keys()]);
    return mark;
  }

  #mark(): Promise<Mark> {
    return this.#withoutClients(() => this.#host.mark());
  }

  async #rewind(mark: Mark): Promise<void> {
    await this.#withoutClients(() => this.#host.rewind(mark));
    this.#prepared.forgetPrepared();
  }

  /** Rejects before anything is done where not all could be brought back. */
  async #withoutClients<T>(work: () => Promise<T>): Promise<T> {
    const { obstacle } = this.#host.marks;
    if (obstacle !== undefined) throw new Error(`not all of this server can be brought back: ${obstacle}`);
    for (const queue of this.#queues) queue.letGo();
    try {
      return await work();
    } finally {
      await Promise.all(this.#queues.map((queue) => queue.comeBack()));
    }
  }

  #atWork(): ClientSession[] {
    return this.#queues.flatMap(({ atWork }) => atWork);
  }

  /** Waits for a moment in which no client is at work. */
  async #quiet(signal: AbortSignal | undefined): Promise<void> {
    const deadline = performance.now() + limits.branchWaitMs;
    for (;;) {
      signal?.throwIfAborted();
      const [client] = this.#atWork();
      if (!client) return;
      if (performance.now() >= deadline) throw atWork(client);
      await delay(lookAgainMs);
    }
  }
}

/** As PostgreSQL's object_in_use. */
function atWork(client: ClientSession): Error {
  const why = `${client.describe()} has been at work or in a transaction for ${limits.branchWaitMs / 1000} s`;
  const message = `no snapshot could be taken: ${why}; its last statement: ${client.statement}. Have it commit or roll back, and try again.`;
  return new SqlStateError("55006", message);
}
