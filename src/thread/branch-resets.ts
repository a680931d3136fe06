/**
 * `pglite_devdb.reset_branch(NAME)`: resets a branch to the present state of its source.
 *
 * Owns: the order of the steps, one reset at a time. Does not own: the copy (`database-branches.ts`), putting it in place
 * (`database-swap.ts`).
 * Invariant: idle clients of the branch stay connected; an active client is never ended; it makes the reset fail.
 */
import { setTimeout as delay } from "node:timers/promises";
import { branchDatabase } from "../engine/branches.ts";
import { workingDatabase } from "../engine/snapshots.ts";
import { SqlStateError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { SessionHost } from "../sessions/host.ts";
import { ownParameters, unhindered } from "../sessions/own-parameters.ts";
import type { IsolatedQueue } from "../transport/isolated-queue.ts";
import { type DatabaseBranches, requireNonePrepared, withHint } from "./database-branches.ts";
import { dropDatabase, replaceDatabase } from "./database-swap.ts";
import { OwnSession } from "./own-session.ts";
import type { Run } from "./prepared-branches.ts";
import type { WithoutOwn } from "./server-states.ts";

/** The process id of the session that renames. Clients have higher ids. */
const number = 994;
/** The interval between two checks of the branch's clients, in ms. */
const lookAgainMs = 1;

/** See the head of the file. */
export class BranchResets {
  readonly #host: SessionHost;
  readonly #queues: readonly IsolatedQueue[];
  readonly #branches: DatabaseBranches;
  readonly #withoutOwn: WithoutOwn;
  #last: Promise<unknown> = Promise.resolve();

  /** `queues`: the clients' queues. */
  constructor(host: SessionHost, queues: readonly IsolatedQueue[], branches: DatabaseBranches, withoutOwn: WithoutOwn) {
    this.#host = host;
    this.#queues = queues;
    this.#branches = branches;
    this.#withoutOwn = withoutOwn;
  }

  /** Makes the branch if it does not exist. Rejects with 55006 while a client of the branch is in a transaction. */
  reset(source: string, name: string): Promise<void> {
    const branch = branchDatabase(source, name);
    const done = this.#last.then(() => this.#reset(source, name, branch));
    this.#last = done.catch(() => {});
    return done;
  }

  async #reset(source: string, name: string, branch: string): Promise<void> {
    if (!(await this.#branches.isThere(branch))) return void (await this.#branches.create(source, name));
    await this.#quiet(branch);
    const made = workingDatabase(branch, "new");
    const old = workingDatabase(branch, "old");
    await this.#branches.copy(source, made);
    await this.#withoutOwn(() =>
      this.#inSession(async (run) => {
        await requireNonePrepared(run, branch, "database").catch(async (error) => {
          await dropDatabase(run, made);
          throw error;
        });
        await replaceDatabase(this.#host, this.#queues, run, { made, name: branch, old, factsOf: source }, () =>
          this.#refuse(branch),
        );
      }),
    );
  }

  async #inSession(work: (run: Run) => Promise<void>): Promise<void> {
    const parameters = { ...ownParameters, ...unhindered, lock_timeout: `${limits.branchWaitMs}ms` };
    const session = new OwnSession(this.#host, parameters, number);
    try {
      await work((sql) => session.ask(sql)).catch(withHint);
    } finally {
      await session.close();
    }
  }

  /** Waits briefly, so that a client that has just sent its COMMIT gets the answer first. */
  async #quiet(branch: string): Promise<void> {
    const deadline = performance.now() + limits.leaveMs;
    while (this.#atWork(branch) && performance.now() < deadline) await delay(lookAgainMs);
    this.#refuse(branch);
  }

  #refuse(branch: string): void {
    const client = this.#atWork(branch);
    if (!client) return;
    const why = `${client.describe()} is in a transaction, last statement: ${client.statement}`;
    throw new SqlStateError("55006", `could not reset database "${branch}": ${why}`);
  }

  #atWork(branch: string) {
    return this.#queues.flatMap((queue) => queue.atWorkIn(branch))[0];
  }
}
