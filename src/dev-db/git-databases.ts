/**
 * `--per-git-branch`: the database that a start migrates, that of main after a branch that is gone, and dropping those of branches that are.
 *
 * Owns: these steps of a start. Does not own: what git says (`git-checkout.ts`), which database a client gets (`../engine/git-branch.ts`).
 * Invariant: what is dropped was made for a branch of this very repository, which git has certainly deleted; what cannot be dropped stays.
 */
import assert from "node:assert/strict";
import type { Engine } from "../engine/engine.ts";
import { executeSql } from "../engine/execute-sql.ts";
import { databaseOfGitBranch, gitBranchOf, longestMainDatabase, type PerGitBranch } from "../engine/git-branch.ts";
import { UsageError } from "../errors.ts";
import { quoteIdentifier, quoteLiteral } from "../migrate/sql-quoting.ts";
import { type Log, nameOf, type ResolvedOptions } from "../options.ts";
import { databaseOf, loginOf } from "./database.ts";
import { findCheckout, type GitCheckout } from "./git-checkout.ts";
import { recordMain, settleMain } from "./git-main.ts";

/** One start with the option, step by step. */
export class GitStart {
  readonly #options: ResolvedOptions;
  readonly #cwd: string;
  readonly #checkout: GitCheckout;
  readonly #log: Log;
  #of: PerGitBranch | undefined;

  private constructor(options: ResolvedOptions, cwd: string, checkout: GitCheckout, log: Log) {
    this.#options = options;
    this.#cwd = cwd;
    this.#checkout = checkout;
    this.#log = log;
  }

  /** Before anything is opened. Rejects with a `UsageError`; undefined without the option. */
  static async find(options: ResolvedOptions, cwd: string, log: Log): Promise<GitStart | undefined> {
    const checkout = await findCheckout(options, cwd);
    if (!checkout) return undefined;
    const { database } = databaseOf(options);
    if (Buffer.byteLength(database) > longestMainDatabase)
      throw new UsageError(
        `${nameOf(options, "perGitBranch")}: the name of the database ${database} has ${Buffer.byteLength(database)} bytes, ` +
          `too many to add the name of a git branch: at most ${longestMainDatabase} bytes`,
      );
    return new GitStart(options, cwd, checkout, log);
  }

  /** Under the lock of the data directory: what the engine is opened with. */
  async settle(): Promise<PerGitBranch> {
    this.#of = await settleMain(this.#options, this.#cwd, this.#checkout, this.#log);
    return this.#of;
  }

  /** With the engine, before anybody has logged in: writes down which branch is the main one, and drops what belongs to none any more. */
  async collect(engine: Engine): Promise<void> {
    this.#of = await settleHeir(engine, this.#settled, this.#log);
    recordMain(this.#options, this.#cwd, this.#of);
    await collectGitDatabases(engine, this.#checkout, this.#of, this.#log);
  }

  /** Logs in to the database of the branch that is checked out, which the engine makes if it is missing: that is what is migrated and seeded. */
  enter(engine: Engine): Promise<void> {
    return logInToCheckedOut(engine, this.#settled, this.#options, this.#log);
  }

  get #settled(): PerGitBranch {
    assert(this.#of, "the main branch is settled before there is an engine");
    return this.#of;
  }
}

async function logInToCheckedOut(engine: Engine, of: PerGitBranch, options: ResolvedOptions, log: Log): Promise<void> {
  await engine.logIn(await loginOf(engine, databaseOf(options)));
  // What is checked out may be another one by now than when this began.
  const [found] = await executeSql(
    engine,
    "select datname, shobj_description(oid, 'pg_database') from pg_database where datname = current_database()",
  );
  const [database, description] = found!.rows[0]!;
  const branch = database === of.database ? of.main : gitBranchOf(of, description ?? "");
  log(
    "info",
    branch === undefined ? `the database is ${database}` : `the git branch ${branch} has the database ${database}`,
  );
}

/** Whose data the database of main has, before anybody has logged in: where main is gone, its heir inherits unless it has data of its own. */
async function settleHeir(engine: Engine, of: PerGitBranch, log: Log): Promise<PerGitBranch> {
  const { database, main, heir } = of;
  if (heir === undefined) return of;
  const own = databaseOfGitBranch(of, heir);
  const [found] = await executeSql(engine, `select from pg_database where datname = ${quoteLiteral(own)}`);
  if (found!.rows.length === 0) {
    log("info", `the git branch ${main} is gone: its database ${database} is that of ${heir} from now on`);
    return { ...of, main: heir, heir: undefined };
  }
  log(
    "info",
    `warning: the git branch ${main} is gone, and ${heir} has a database of its own, ${own}: ${database} keeps the data of ${main}, with which new branches begin. To give it to ${heir}, drop ${own} and start again`,
  );
  return of;
}

/** Drops the databases of branches that are gone. That one cannot be is no reason not to start. */
async function collectGitDatabases(engine: Engine, checkout: GitCheckout, of: PerGitBranch, log: Log): Promise<void> {
  if (checkout.doubt !== undefined)
    log(
      "info",
      `warning: no git branch is taken to be gone, and no database dropped, while git says: ${checkout.doubt}`,
    );
  const [found] = await executeSql(
    engine,
    "select datname, shobj_description(oid, 'pg_database') from pg_database where shobj_description(oid, 'pg_database') is not null",
  );
  for (const [database, description] of found!.rows) {
    const branch = gitBranchOf(of, description!);
    if (branch === undefined || databaseOfGitBranch(of, branch) !== database) continue;
    if (branch === of.main || !(await checkout.isGone(branch))) continue;
    try {
      await executeSql(engine, `drop database ${quoteIdentifier(database!)} with (force)`);
      log("info", `database ${database} is dropped: there is no git branch ${branch} any more`);
    } catch (error) {
      const why = (error as Error).message;
      log("info", `warning: there is no git branch ${branch} any more, but its database ${database} stays: ${why}`);
    }
  }
}
