/**
 * Branches, made and dropped by a session of the server's own.
 *
 * Owns: the statements for that, one after another. Does not own: copying the files, and when a database that is in use can
 * be copied (`engine/thread/sessions/database-copies.ts`).
 * Invariant: nobody but this session's CREATE DATABASE may copy a database that others are connected to. The session ends
 * soon afterwards: those who drop its database or make copies of it themselves wait for that.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type Branches, branchDatabase, readBranch } from "../engine/branches.ts";
import { limits } from "../engine/thread/limits.ts";
import type { Writer } from "../engine/thread/sessions/database-copies.ts";
import type { SessionHost } from "../engine/thread/sessions/host.ts";
import { ownParameters, unhindered } from "../engine/thread/sessions/own-parameters.ts";
import { bytesInput, type Session } from "../engine/thread/sessions/session.ts";
import { unlessAborted } from "../engine/within.ts";
import { SqlStateError } from "../errors.ts";
import { quoteIdentifier, quoteLiteral } from "../migrate/sql-quoting.ts";
import { encodeQuery } from "../wire/frontend.ts";
import { DatabaseError, readQueryResults } from "../wire/query-results.ts";

/** The session's process id; those of clients are above it. */
const branchesNumber = 997;
/** Not half dropped: a DROP DATABASE that was killed leaves DATCONNLIMIT_INVALID_DB (catalog/pg_database.h). */
const valid = "datconnlimit <> -2";
/** For how long the session waits for more: a new one has everything to look up. PostgreSQL waits 5 s for those who are in its way. */
const idleMs = 200;
/** How long to wait between two looks at the transactions of others, in ms. */
const lookAgainMs = 1;

const mayNot = new Map([
  ["C", "42501"],
  ["M", "permission denied to create database"],
]);

/** Runs a statement; resolves with its rows. */
type Run = (sql: string) => Promise<readonly (readonly (string | null)[])[]>;

/** See the head of the file. */
export class DatabaseBranches implements Branches {
  readonly #host: SessionHost;
  #session: Session | undefined;
  #idle: NodeJS.Timeout | undefined;
  #closed: Promise<void> = Promise.resolve();
  #last: Promise<unknown> = Promise.resolve();

  constructor(host: SessionHost) {
    this.#host = host;
  }

  create(source: string, name = `b${randomBytes(4).toString("hex")}`): Promise<string> {
    return this.#inSession(async (run, session) => {
      const database = branchDatabase(source, name);
      await this.#copy(run, session, source, database);
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
   * not log in: PostgreSQL says so then. With `makes` it rejects for one who may not make databases.
   */
  async ensure(database: string, { user, makes }: { user: string; makes: boolean }): Promise<void> {
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
      const [role] = await run(
        `select rolsuper or rolcreatedb from pg_roles where rolname = ${quoteLiteral(user)} and rolcanlogin`,
      );
      if (!role) return;
      if (makes && role[0] !== "t") throw new DatabaseError(mayNot);
      await this.#copy(run, session, branch.source, database);
    });
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
      const used = "exists (select from pg_stat_activity where datid = pg_database.oid)";
      const rows = await run(`select datname from pg_database where ${valid} and not ${used} order by oid`);
      return rows.map(([database]) => database!).filter(readBranch);
    });
  }

  async #drop(database: string, how: string): Promise<void> {
    if (!readBranch(database)) throw new Error(`${database} is not a branch`);
    await this.#inSession((run) => run(`drop database if exists ${quoteIdentifier(database)}${how}`));
  }

  async #copy(run: Run, session: Session, source: string, database: string, more = ""): Promise<void> {
    const [from, to] = [quoteLiteral(source), quoteLiteral(database)];
    await requireNonePrepared(run, source);
    const [facts] = await run(`select oid, pg_get_userbyid(datdba),
      exists (select from pg_db_role_setting where setdatabase = pg_database.oid),
      exists (select from pg_database where datname = ${to} and not ${valid})
      from pg_database where datname = ${from}`);
    if (!facts) throw new Error(`there is no database ${JSON.stringify(source)} to make a branch of`);
    const [oid, owner, hasSettings, isHalfDropped] = facts;
    if (isHalfDropped === "t") await run(`drop database ${quoteIdentifier(database)}`);
    const copy = `create database ${quoteIdentifier(database)} template ${quoteIdentifier(source)}`;
    await this.#allowed(session, Number(oid), () =>
      run(`${copy} owner ${quoteIdentifier(owner!)} strategy file_copy${more}`),
    );
    // One that was waited for may have been prepared: it would be committed in the branch, too.
    await requireNonePrepared(run, source).catch(async (error) => {
      await run(`drop database ${quoteIdentifier(database)}`);
      throw error;
    });
    if (hasSettings !== "t") return;
    // CREATE DATABASE leaves out what ALTER DATABASE and ALTER ROLE … IN DATABASE have set.
    const oidOf = (name: string) => `(select oid from pg_database where datname = ${name})`;
    await run(`insert into pg_db_role_setting
      select ${oidOf(to)}, setrole, setconfig from pg_db_role_setting where setdatabase = ${oidOf(from)}`);
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

  /** Ends the session; what is asked afterwards has another one. */
  close(): Promise<void> {
    clearTimeout(this.#idle);
    if (this.#session) this.#closed = this.#host.closeSession(this.#session);
    this.#session = undefined;
    return this.#closed;
  }

  /** One after another. */
  #inSession<T>(work: (run: Run, session: Session) => Promise<T>): Promise<T> {
    const done = this.#last.then(() => this.#work(work)).catch(withHint);
    this.#last = done.catch(() => {});
    return done;
  }

  async #work<T>(work: (run: Run, session: Session) => Promise<T>): Promise<T> {
    clearTimeout(this.#idle);
    // Somebody may have ended it: pg_terminate_backend.
    if (this.#session?.state === "ended") await this.close();
    await this.#closed;
    this.#session ??= await this.#open();
    const session = this.#session;
    const run: Run = async (sql) => {
      const answer: Uint8Array[] = [];
      await session.run(bytesInput(encodeQuery(sql)), (bytes) => void answer.push(bytes.slice()));
      return readQueryResults(Buffer.concat(answer)).at(-1)?.rows ?? [];
    };
    try {
      return await work(run, session);
    } finally {
      this.#idle = setTimeout(() => void this.close(), idleMs);
    }
  }

  async #open(): Promise<Session> {
    const refusal: Uint8Array[] = [];
    const take = (bytes: Uint8Array) => void refusal.push(bytes.slice());
    const session = await this.#host.createSession({ ...ownParameters, ...unhindered }, take, branchesNumber);
    // Throws PostgreSQL's reason.
    readQueryResults(Buffer.concat(refusal));
    if (!session) throw new Error("PostgreSQL refused a session");
    return session;
  }
}

/** As PostgreSQL's object_in_use. `writer` has been in the way all the time; undefined: now this one, now that one. */
function inUse(writer: Writer | undefined): Error {
  const seconds = `${limits.branchWaitMs / 1000} s`;
  const why = writer
    ? `a transaction of process ${writer.pid} has been open for ${seconds}. ${writer.description} Have it commit or roll back, and try again.`
    : `in ${seconds} there was no moment without a transaction that changes something. Try again when less is written.`;
  return new SqlStateError("55006", `a database in use could not be copied: ${why}`);
}

/** Throws for a database that has prepared transactions. */
export async function requireNonePrepared(run: Run, database: string): Promise<void> {
  const [found] = await run(`select count(*) from pg_prepared_xacts where database = ${quoteLiteral(database)}`);
  const count = found?.[0];
  if (count === "0") return;
  const transactions = count === "1" ? "a prepared transaction" : `${count} prepared transactions`;
  throw new Error(`${database} has ${transactions}: it can have branches and snapshots when that is over`);
}

/** What PostgreSQL says is to be done belongs to its message, which is all that another thread gets. */
function withHint(error: unknown): never {
  if (!(error instanceof DatabaseError)) throw error;
  const detail = [error.fields.get("D"), error.fields.get("H")].filter(Boolean).join(" ");
  throw new SqlStateError(error.code, detail ? `${error.message}. ${detail}` : error.message);
}
