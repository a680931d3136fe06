/**
 * `reset`, `snapshot` and `restore` of one database in a directory: a snapshot is a copy of it, and going back to one puts another copy in its place.
 *
 * Owns: the copies, and that one takes the place of another in one step; what becomes of the database's clients. Does not own: copying a
 * database in use (`database-branches.ts`), their names (`../engine/snapshots.ts`), what a kill leaves (`../dev-db/leftovers.ts`).
 * Invariant: one at a time. Under each name there is at any moment a whole database, the one of before or the one of after: what is made has another
 * name until a transaction gives it its own, with all that CREATE DATABASE leaves out.
 */
import { readBranch } from "../engine/branches.ts";
import { snapshotDatabase, snapshotPrefix, workingDatabase } from "../engine/snapshots.ts";
import type { ServedStates } from "../engine/states.ts";
import { limits } from "../limits.ts";
import { quoteIdentifier, quoteLiteral } from "../migrate/sql-quoting.ts";
import type { SessionHost } from "../sessions/host.ts";
import { ownLogin, ownParameters, unhindered } from "../sessions/own-parameters.ts";
import type { IsolatedQueue } from "../transport/isolated-queue.ts";
import { type DatabaseBranches, requireNonePrepared, withHint } from "./database-branches.ts";
import { dropDatabase as drop, isThere, replaceDatabase, takePlace } from "./database-swap.ts";
import { OwnSession } from "./own-session.ts";
import type { Run } from "./prepared-branches.ts";
import type { WithoutOwn } from "./server-states.ts";
import { noSnapshot, nothingToResetTo, notKept } from "./state-errors.ts";

/** The process id of the session that does it; those of clients are above it. */
const number = 996;
/** Where it works when the database itself is the one that everybody has: nobody can rename the database that he is in. */
const elsewhere = "template1";

/** See the head of the file. */
export class DirectoryStates implements ServedStates {
  readonly #host: SessionHost;
  readonly #queues: readonly IsolatedQueue[];
  readonly #branches: DatabaseBranches;
  readonly #withoutOwn: WithoutOwn;
  /** Why there is nothing to reset to where there is nothing. */
  #whyNot = notKept;
  #last: Promise<unknown> = Promise.resolve();

  /** `queues`: those of the clients. */
  constructor(host: SessionHost, queues: readonly IsolatedQueue[], branches: DatabaseBranches, withoutOwn: WithoutOwn) {
    this.#host = host;
    this.#queues = queues;
    this.#branches = branches;
    this.#withoutOwn = withoutOwn;
  }

  begin(database: string): Promise<void> {
    return this.#oneAtATime(async () => {
      const start = workingDatabase(database, "start");
      await this.#keep(database, start).catch(({ message }: Error) => {
        this.#whyNot = message;
      });
    });
  }

  snapshot(database: string, name: string): Promise<void> {
    const kept = snapshotDatabase(database, name);
    return this.#oneAtATime(() => this.#keep(database, kept));
  }

  reset(database: string): Promise<void> {
    return this.#oneAtATime(() =>
      this.#inSession(database, async (run) => {
        const start = workingDatabase(database, "start");
        if (!(await isThere(run, start))) throw nothingToResetTo(this.#whyNot);
        await this.#goBack(run, database, start);
      }),
    );
  }

  restore(database: string, name: string): Promise<void> {
    const kept = snapshotDatabase(database, name);
    return this.#oneAtATime(() =>
      this.#inSession(database, async (run) => {
        if (!(await isThere(run, kept))) throw noSnapshot(name, await namesOf(run, database));
        await this.#goBack(run, database, kept);
      }),
    );
  }

  drop(database: string, name: string): Promise<void> {
    const kept = snapshotDatabase(database, name);
    return this.#oneAtATime(() =>
      this.#inSession(database, async (run) => {
        if (!(await isThere(run, kept))) throw noSnapshot(name, await namesOf(run, database));
        await drop(run, kept);
      }),
    );
  }

  names(database: string): Promise<string[]> {
    return this.#oneAtATime(() => this.#inSession(database, (run) => namesOf(run, database)));
  }

  /** A copy of the database gets a name, which another one may have had. Nobody is connected to either. */
  async #keep(database: string, name: string): Promise<void> {
    // It would stay when the branch is dropped.
    if (readBranch(database)) throw refusal(`${database} is a branch, and in a directory branches have no snapshots`);
    const made = workingDatabase(database, "new");
    await this.#branches.copy(database, made);
    await this.#inSession(database, async (run) => {
      await takePlace(run, { made, name, old: workingDatabase(database, "old"), factsOf: database, isUsed: false });
    });
  }

  /** The database is what a copy of it is. */
  async #goBack(run: Run, database: string, kept: string): Promise<void> {
    const [made, old] = [workingDatabase(database, "new"), workingDatabase(database, "old")];
    await requireNonePrepared(run, database, "database");
    await drop(run, made);
    await drop(run, old);
    const [owner] = await run(`select pg_get_userbyid(datdba) from pg_database where datname = ${quoteLiteral(kept)}`);
    const as = `template ${quoteIdentifier(kept)} owner ${quoteIdentifier(owner![0]!)} strategy file_copy`;
    await run(`create database ${quoteIdentifier(made)} ${as}`);
    await replaceDatabase(this.#host, this.#queues, run, { made, name: database, old, factsOf: kept });
  }

  #oneAtATime<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }

  /** In a session that is not in the database, while the server has no other one of its own. */
  #inSession<T>(database: string, work: (run: Run) => Promise<T>): Promise<T> {
    return this.#withoutOwn(async () => {
      const at = database === ownLogin.database ? elsewhere : ownLogin.database;
      const lock_timeout = `${limits.branchWaitMs}ms`;
      const parameters = { ...ownParameters, ...unhindered, lock_timeout, database: at };
      const session = new OwnSession(this.#host, parameters, number);
      try {
        return await work((sql) => session.ask(sql)).catch(withHint);
      } finally {
        await session.close();
      }
    });
  }
}

/** feature_not_supported. */
function refusal(message: string): Error {
  return Object.assign(new Error(message), { code: "0A000" });
}

async function namesOf(run: Run, database: string): Promise<string[]> {
  const prefix = snapshotPrefix(database);
  const rows = await run(
    `select datname from pg_database where starts_with(datname, ${quoteLiteral(prefix)}) and datconnlimit <> -2 order by oid`,
  );
  return rows.map(([name]) => name!.slice(prefix.length));
}
