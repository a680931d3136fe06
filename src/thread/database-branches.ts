/**
 * Branches, made and dropped by a session of the server's own.
 *
 * Owns: the statements for that, one after another. Does not own: copying the files, and when a database that is in use can
 * be copied (`sessions/database-copies.ts`).
 * Invariant: nobody but this session's CREATE DATABASE may copy a database that others are connected to. The session ends
 * soon afterwards: those who drop its database or make copies of it themselves wait for that.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { memoryBudget } from "../cluster/memory-budget.ts";
import { type Branches, branchDatabase, readBranch } from "../engine/branches.ts";
import { unlessAborted } from "../engine/within.ts";
import { SqlStateError } from "../errors.ts";
import { limits } from "../limits.ts";
import { quoteIdentifier, quoteLiteral } from "../migrate/sql-quoting.ts";
import type { Writer } from "../sessions/database-copies.ts";
import type { SessionHost } from "../sessions/host.ts";
import { ownParameters, unhindered } from "../sessions/own-parameters.ts";
import type { Session } from "../sessions/session.ts";
import { DatabaseError } from "../wire/query-results.ts";
import { autovacuumPid } from "./autovacuum-look.ts";
import { closed, copyAccess, requireAccess } from "./branch-access.ts";
import { onceNobodyRuns } from "./idle-moments.ts";
import { hasPreparedTransactions, inUse } from "./lock-errors.ts";
import { OwnSession } from "./own-session.ts";
import { PreparedBranches, type Run } from "./prepared-branches.ts";

/** The session's process id; those of clients are above it. */
const branchesNumber = 997;
/** Not half dropped: a DROP DATABASE that was killed leaves DATCONNLIMIT_INVALID_DB (catalog/pg_database.h). */
const valid = "datconnlimit <> -2";
/** For how long the session waits for more: a new one has everything to look up. PostgreSQL waits 5 s for those who are in its way. */
const idleMs = 200;
/** How long to wait between two looks at the transactions of others, in ms. */
const lookAgainMs = 1;

type Undisturbed = <T>(work: () => Promise<T>) => Promise<T>;

/** See the head of the file. */
export class DatabaseBranches implements Branches {
  readonly #host: SessionHost;
  readonly #undisturbed: Undisturbed;
  #own: OwnSession | undefined;
  #idle: NodeJS.Timeout | undefined;
  #closed: Promise<void> = Promise.resolve();
  #last: Promise<unknown> = Promise.resolve();
  /** How many wait for the session, or have it. */
  #asked = 0;
  readonly #prepared: PreparedBranches | undefined;
  #preparing: ReturnType<typeof onceNobodyRuns> | undefined;
  #isOver = false;

  /** `undisturbed`: has work done while the server changes nothing of its own accord. `prepares`: whether branches may be prepared while nobody wants anything. */
  constructor(host: SessionHost, undisturbed: Undisturbed, { prepares }: { readonly prepares: boolean }) {
    this.#host = host;
    this.#undisturbed = undisturbed;
    if (!prepares || !host.copies.canRefresh) return;
    const prepared = new PreparedBranches();
    this.#prepared = prepared;
    host.copies.onDrop = () => {
      prepared.mayBeGone();
      this.#prepare();
    };
    memoryBudget.onRefusal = () => {
      prepared.giveUpAll();
      this.#prepare();
    };
  }

  create(source: string, name = `b${randomBytes(4).toString("hex")}`): Promise<string> {
    return this.#inSession(async (run, session) => {
      const database = branchDatabase(source, name);
      await this.#make(run, session, source, database);
      return database;
    });
  }

  /** A database that nobody can connect to, made of another one in the place of one that there was. */
  async copy(source: string, database: string): Promise<void> {
    await this.#inSession(async (run, session) => {
      await run(`drop database if exists ${quoteIdentifier(database)} with (force)`);
      await this.#copy(run, session, source, database, " allow_connections false");
    });
  }

  /**
   * Makes a branch that is named as a database, unless there is that database, or nothing that it could be a branch of, or the user may
   * not log in: PostgreSQL says so then. Rejects for a role that may not connect to what
   * it would be a branch of; with `makes` also for one that may not make a database of that.
   */
  async ensure(
    database: string,
    { user, makes, description }: { user: string; makes: boolean; description?: string },
  ): Promise<void> {
    const branch = readBranch(database);
    if (!branch) return;
    // Throws for one that PostgreSQL would cut off, and nobody could reach.
    branchDatabase(branch.source, branch.name);
    await this.#inSession(async (run, session) => {
      const names = [database, branch.source].map(quoteLiteral).join();
      const there = (await run(`select datname from pg_database where datname in (${names}) and ${valid}`)).map(
        ([name]) => name,
      );
      if (!there.includes(branch.source) || there.includes(database)) return;
      if (!(await requireAccess(run, branch.source, user, makes))) return;
      await this.#make(run, session, branch.source, database);
      if (description !== undefined)
        await run(`comment on database ${quoteIdentifier(database)} is ${quoteLiteral(description)}`);
    });
  }

  /** Whether there is such a database. */
  isThere(database: string): Promise<boolean> {
    return this.#inSession(
      async (run) =>
        (await run(`select from pg_database where datname = ${quoteLiteral(database)} and ${valid}`)).length > 0,
    );
  }

  drop(database: string): Promise<void> {
    return this.#drop(database, " with (force)");
  }

  /** Rejects, after PostgreSQL's 5 seconds, if somebody is connected. */
  dropUnused(database: string): Promise<void> {
    return this.#drop(database, "");
  }

  /** Those to which nobody is connected. */
  unused(): Promise<string[]> {
    return this.#inSession(async (run) => {
      const used = `exists (select from pg_stat_activity where datid = pg_database.oid and pid <> ${autovacuumPid})`;
      const rows = await run(`select datname from pg_database where ${valid} and not ${used} order by oid`);
      return rows.map(([database]) => database!).filter(readBranch);
    });
  }

  async #drop(database: string, how: string): Promise<void> {
    if (!readBranch(database)) throw new Error(`${database} is not a branch`);
    this.#prepared?.notWanted(database);
    await this.#letLeave(database);
    await this.#inSession((run) => run(`drop database if exists ${quoteIdentifier(database)}${how}`));
  }

  /** A pool that has just been ended has said good-bye, which nobody may have read yet: who is connected may leave, as at a stop. */
  async #letLeave(database: string): Promise<void> {
    const deadline = performance.now() + limits.leaveMs;
    const connected = `select from pg_stat_activity where datname = ${quoteLiteral(database)} and pid <> ${autovacuumPid}`;
    const isAlone = () => this.#inSession(async (run) => (await run(connected)).length === 0);
    while (!(await isAlone()) && performance.now() < deadline) await delay(lookAgainMs);
  }

  /** A branch: one that is prepared, or a copy. */
  async #make(run: Run, session: Session, source: string, database: string): Promise<void> {
    if (await this.#prepared?.take(run, source, database, this.#refresh(session))) return;
    const oid = await this.#copy(run, session, source, database);
    this.#prepared?.wanted(oid, source);
  }

  #refresh(session: Session) {
    return (source: number, copy: number) => this.#host.copies.refresh(session, source, copy);
  }

  /** Resolves with the OID of the source. */
  async #copy(run: Run, session: Session, source: string, database: string, more = ""): Promise<number> {
    const [from, to] = [quoteLiteral(source), quoteLiteral(database)];
    await requireNonePrepared(run, source);
    const [facts] = await run(`select oid, pg_get_userbyid(datdba),
      exists (select from pg_db_role_setting where setdatabase = pg_database.oid),
      exists (select from pg_database where datname = ${to} and not ${valid}),
      datallowconn, datacl is not null or datconnlimit <> -1
      from pg_database where datname = ${from}`);
    if (!facts) throw new Error(`there is no database ${JSON.stringify(source)} to make a branch of`);
    const [oid, owner, hasSettings, isHalfDropped, isOpen, isGuarded] = facts;
    const isBranch = more === "";
    if (isBranch && isOpen !== "t") throw closed(source);
    if (isHalfDropped === "t") await run(`drop database ${quoteIdentifier(database)}`);
    const copy = `create database ${quoteIdentifier(database)} template ${quoteIdentifier(source)}`;
    const create = () => run(`${copy} owner ${quoteIdentifier(owner!)} strategy file_copy${more}`);
    await this.#undisturbed(() => this.#allowed(session, Number(oid), create));
    // One that was waited for may have been prepared: it would be committed in the branch, too.
    await requireNonePrepared(run, source).catch(async (error) => {
      await run(`drop database ${quoteIdentifier(database)}`);
      throw error;
    });
    if (isBranch && isGuarded === "t") await run(copyAccess(source, database));
    if (hasSettings !== "t") return Number(oid);
    // CREATE DATABASE leaves out what ALTER DATABASE and ALTER ROLE … IN DATABASE have set.
    const oidOf = (name: string) => `(select oid from pg_database where datname = ${name})`;
    await run(`insert into pg_db_role_setting
      select ${oidOf(to)}, setrole, setconfig from pg_db_role_setting where setdatabase = ${oidOf(from)}`);
    return Number(oid);
  }

  /** Begins the copy while nobody has a transaction open that has changed something, and anew when it meets with one. */
  async #allowed(session: Session, source: number, create: () => Promise<unknown>): Promise<void> {
    const deadline = performance.now() + limits.branchWaitMs;
    for (;;) {
      await this.#quiet(session, source, deadline);
      this.#host.copies.allow(session);
      try {
        await create();
        return;
      } catch (error) {
        // serialization_failure: it has met with a change.
        if (!(error instanceof DatabaseError) || error.code !== "40001") throw error;
        if (performance.now() >= deadline) throw inUse(undefined);
      } finally {
        this.#host.copies.allow(undefined);
      }
    }
  }

  /** Waits for a moment without such a transaction, outside of any of its own. */
  async #quiet(session: Session, source: number, deadline: number): Promise<void> {
    let first: Writer | undefined;
    for (;;) {
      const writer = this.#host.copies.writer(source, session);
      if (!writer) return;
      first ??= writer;
      if (performance.now() >= deadline) throw inUse(writer.transaction === first.transaction ? writer : undefined);
      await delay(lookAgainMs);
    }
  }

  /** Runs `work` between two branches, and without a session; not any more when the signal is given while it waits for that. */
  pause<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#last;
    const done = unlessAborted(before, signal)
      .then(() => this.close())
      .then(work);
    // Who comes next waits for those before this one also when this one does not any more.
    this.#last = Promise.allSettled([before, done]).then(() => {});
    return done;
  }

  /** In `pause`: drops what is prepared, of which nobody is to know. */
  async dropPrepared(): Promise<void> {
    const prepared = this.#prepared;
    if (!prepared || prepared.isEmpty) return;
    await this.#work((run) => prepared.drop(run));
    await this.close();
  }

  /** The server is as it was when nothing was prepared. */
  forgetPrepared(): void {
    this.#prepared?.forget();
  }

  /** When nobody wants anything: does one thing, and then the next one. */
  #prepare(): void {
    const prepared = this.#prepared;
    if (this.#preparing || this.#isOver || !prepared?.isDue) return;
    this.#preparing = onceNobodyRuns(this.#host, () => {
      this.#preparing = undefined;
      // It does so afterwards.
      if (this.#asked > 0) return;
      const step = this.#inSession((run, session) => prepared.step(run, this.#refresh(session)));
      step.catch(() => prepared.failed());
    });
  }

  /** Ends the session and prepares nothing any more. */
  end(): Promise<void> {
    this.#isOver = true;
    this.#preparing?.stop();
    return this.close();
  }

  /** Ends the session; what is asked afterwards has another one. */
  close(): Promise<void> {
    clearTimeout(this.#idle);
    if (this.#own) this.#closed = this.#own.end();
    this.#own = undefined;
    return this.#closed;
  }

  /** One after another. */
  #inSession<T>(work: (run: Run, session: Session) => Promise<T>): Promise<T> {
    this.#asked++;
    const done = this.#last.then(() => this.#work(work)).catch(withHint);
    this.#last = done
      .catch(() => {})
      .then(() => {
        if (--this.#asked === 0) this.#prepare();
      });
    return done;
  }

  async #work<T>(work: (run: Run, session: Session) => Promise<T>): Promise<T> {
    clearTimeout(this.#idle);
    // Somebody may have ended it: pg_terminate_backend.
    if (this.#own?.hasEnded) await this.close();
    await this.#closed;
    if (this.#isOver) throw new SqlStateError("57P03", "the database system is shutting down");
    const own = this.#own ?? (await this.#open());
    const session = await own.begun;
    try {
      return await work((sql, first) => own.ask(sql, first), session);
    } finally {
      this.#idle = setTimeout(() => void this.close(), idleMs);
    }
  }

  /** Rejects with PostgreSQL's reason, or when the session had to wait for somebody's lock for too long. */
  async #open(): Promise<OwnSession> {
    // All that is asked of the session waits behind one statement.
    const parameters = { ...ownParameters, ...unhindered, lock_timeout: `${limits.branchWaitMs}ms` };
    const own = new OwnSession(this.#host, parameters, branchesNumber);
    this.#own = own;
    await own.begun.catch((error: unknown) => {
      this.#own = undefined;
      throw error;
    });
    return own;
  }
}

/** Throws, as PostgreSQL would of `what`, for a database that has prepared transactions. */
export async function requireNonePrepared(run: Run, database: string, what = "source database"): Promise<void> {
  const [found] = await run(`select count(*) from pg_prepared_xacts where database = ${quoteLiteral(database)}`);
  const count = Number(found?.[0]);
  if (count > 0) throw hasPreparedTransactions(`${what} "${database}"`, count);
}

/** What PostgreSQL says is to be done belongs to its message, which is all that another thread gets. */
export function withHint(error: unknown): never {
  if (!(error instanceof DatabaseError)) throw error;
  const detail = [error.fields.get("D"), error.fields.get("H")].filter(Boolean).join(" ");
  throw new SqlStateError(error.code, detail ? `${error.message}. ${detail}` : error.message);
}
