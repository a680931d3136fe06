/**
 * `--per-git-branch`: finding the checkout, the database that a start migrates, and dropping those of branches that are gone.
 *
 * Owns: asking git, once per start. Does not own: which database a client gets (`../engine/git-branch.ts`).
 * Invariant: what is dropped was made for a branch of this very repository, which git does not know any more.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Engine } from "../engine/engine.ts";
import { executeSql } from "../engine/execute-sql.ts";
import { checkedOut, databaseOfGitBranch, gitBranchOf, type PerGitBranch } from "../engine/git-branch.ts";
import { UsageError } from "../errors.ts";
import { quoteIdentifier } from "../migrate/sql-quoting.ts";
import { type Log, nameOf, type ResolvedOptions } from "../options.ts";
import { databaseOf, loginOf } from "./database.ts";

const run = promisify(execFile);

/** A checkout, with the branches that there are. */
interface GitCheckout extends PerGitBranch {
  readonly branches: readonly string[];
  /** What is checked out at the start. */
  readonly current: string;
}

/** The checkout that a directory is in. Rejects with a `UsageError`; undefined without the option. */
export async function findCheckout(options: ResolvedOptions, cwd: string): Promise<GitCheckout | undefined> {
  if (!options.perGitBranch) return undefined;
  const name = nameOf(options, "perGitBranch");
  if (options.db === "memory://")
    throw new UsageError(
      `${name}: needs a directory that keeps the branches' data, as --db ./.dev-db; the database is in memory`,
    );
  if (options.sessions === "shared") throw new UsageError(`${name}: needs isolated sessions, not shared ones`);
  if (options.resets === "on")
    throw new UsageError(
      `${name}: does not go with ${nameOf(options, "resets")}: what is reset in a directory is one database`,
    );
  if (options.branchTtlMs > 0)
    throw new UsageError(
      `${name}: does not go with ${nameOf(options, "branchTtlMs")}: what belongs to a git branch stays as long as that`,
    );
  // A hook of git's has variables that say another repository.
  const { GIT_DIR: _, GIT_COMMON_DIR: __, GIT_WORK_TREE: ___, ...env } = process.env;
  const git = async (...args: string[]) => (await run("git", ["-C", cwd, ...args], { env })).stdout.trim();
  const isThere = (...args: string[]) =>
    git(...args).then(
      (text) => text || undefined,
      () => undefined,
    );
  let directories: string[];
  try {
    directories = (await git("rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir")).split("\n");
  } catch (error) {
    const { code, stderr, message } = error as { code?: unknown; stderr?: string; message: string };
    const why = code === "ENOENT" ? "there is no git" : stderr?.trim().split("\n")[0] || message;
    throw new UsageError(`${name}: ${cwd} is not in a git checkout: ${why}`, { cause: error });
  }
  const [directory = "", repository = directory] = directories;
  const branches = ((await isThere("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads")) ?? "")
    .split("\n")
    .filter(Boolean);
  const headFile = join(directory, "HEAD");
  const current = await isThere("symbolic-ref", "--short", "-q", "HEAD");
  const origin = (await isThere("symbolic-ref", "--short", "-q", "refs/remotes/origin/HEAD"))?.replace(/^origin\//, "");
  const configured = await isThere("config", "init.defaultBranch");
  const only = branches.length <= 1 ? (branches[0] ?? current ?? "main") : undefined;
  const main =
    [origin, "main", "master", configured].find((one) => one !== undefined && branches.includes(one)) ?? only;
  // Another one tomorrow would be given the data of this one.
  if (main === undefined)
    throw new UsageError(
      `${name}: which of the ${branches.length} branches is the main one? There is no origin/HEAD, main or master; say: git config init.defaultBranch NAME`,
    );
  // What does not keep its references in files says something else there.
  if (current !== undefined && checkedOut(headFile) !== current)
    throw new UsageError(
      `${name}: ${headFile} does not say what is checked out (${current}): repositories with reftables are not supported`,
    );
  return { database: databaseOf(options).database, main, headFile, repository, branches, current: current ?? main };
}

/** Logs in to the database of the branch that is checked out, which the engine makes if it is missing: that is what is migrated and seeded. */
export async function enterGitDatabase(
  engine: Engine,
  checkout: GitCheckout,
  options: ResolvedOptions,
  log: Log,
): Promise<void> {
  await engine.logIn(await loginOf(engine, databaseOf(options)));
  log("info", `the git branch ${checkout.current} has the database ${databaseOfGitBranch(checkout, checkout.current)}`);
}

/** Drops the databases of branches that are gone. */
export async function collectGitDatabases(engine: Engine, checkout: GitCheckout, log: Log): Promise<void> {
  const [found] = await executeSql(
    engine,
    "select datname, shobj_description(oid, 'pg_database') from pg_database where shobj_description(oid, 'pg_database') is not null",
  );
  for (const [database, description] of found!.rows) {
    const branch = gitBranchOf(checkout, description!);
    if (branch === undefined || branch === checkout.current || checkout.branches.includes(branch)) continue;
    if (databaseOfGitBranch(checkout, branch) !== database) continue;
    log("info", `database ${database} is dropped: there is no git branch ${branch} any more`);
    await executeSql(engine, `drop database ${quoteIdentifier(database)} with (force)`);
  }
}
