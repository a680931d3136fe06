/**
 * `--per-git-branch`: what git says of the checkout that a start is in.
 *
 * Owns: asking git, and what an answer is worth. Does not own: what is made of it (`git-main.ts`, `git-databases.ts`).
 * Invariant: no answer is never taken for "there is none": where git fails the start does, and where it only warns a branch that it does not
 * name is not gone. Only what was proved twice is.
 */
import { execFile } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { checkedOut } from "../engine/git-branch.ts";
import { UsageError } from "../errors.ts";
import { nameOf, type ResolvedOptions } from "../options.ts";

const run = promisify(execFile);

/** More than the names of all branches of any repository have. */
const maxBuffer = 2 ** 28;

/** A checkout as it is at the start. */
export interface GitCheckout {
  /** HEAD of the checkout (of the worktree, where it is one). */
  readonly headFile: string;
  /** The repository's own directory, which all its worktrees share. */
  readonly repository: string;
  /** Those that there are, and those that have no commit yet but are checked out somewhere. */
  readonly branches: readonly string[];
  /** What is checked out; in a rebase or a bisection, what that began with. */
  readonly current: string;
  /** Which branch looks like the main one; undefined when none does. */
  readonly main: string | undefined;
  /** What git warned of: it may not have named all branches. */
  readonly doubt: string | undefined;
  /** Whether git has deleted, or never had, that branch. Where that cannot be known the answer is no. */
  isGone(branch: string): Promise<boolean>;
}

interface Answer {
  readonly stdout: string;
  readonly stderr: string;
}

/** The checkout that a directory is in. Rejects with a `UsageError`, also when nothing is checked out or git fails; undefined without the option. */
export async function findCheckout(options: ResolvedOptions, cwd: string): Promise<GitCheckout | undefined> {
  if (!options.perGitBranch) return undefined;
  const name = nameOf(options, "perGitBranch");
  refuseOthers(options, name);
  const { git, need, ask } = gitIn(cwd, name);
  let directories: string[];
  try {
    directories = (await git("rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir")).stdout.split(
      "\n",
    );
  } catch (error) {
    throw new UsageError(`${name}: ${cwd} is not in a git checkout: ${reasonOf(error)}`, { cause: error });
  }
  const [directory = "", repository = directory] = directories;
  const headFile = join(directory, "HEAD");
  // With its prefix: the short name of a branch is another one when a tag is called like it.
  const head = withoutPrefix(await ask("symbolic-ref", "-q", "HEAD"), "refs/heads/");
  const current = checkedOut(headFile);
  // What does not keep its references in files says something else there.
  if ((head !== undefined && current !== head) || current === ".invalid")
    throw new UsageError(
      `${name}: ${headFile} does not say what is checked out (${head ?? "no branch"}): repositories with reftables are not supported`,
    );
  if (current === undefined) {
    const what =
      (await ask("describe", "--tags", "--exact-match").catch(() => undefined)) ??
      (await need("rev-parse", "--short", "HEAD")).stdout;
    throw new UsageError(
      `${name}: no branch is checked out, HEAD is ${what}, so it is not known whose data this start is about: git switch to a branch, or start without ${name}`,
    );
  }

  const listed = await need("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads");
  const existing = listed.stdout.split("\n").filter(Boolean);
  const trees = await need("worktree", "list", "--porcelain");
  const elsewhere = [...trees.stdout.matchAll(/^branch refs\/heads\/(.+)$/gm)].map(([, branch]) => branch!);
  const branches = [...new Set([...existing, ...elsewhere, current])];
  const origin = withoutPrefix(await ask("symbolic-ref", "-q", "refs/remotes/origin/HEAD"), "refs/remotes/origin/");
  const configured = await ask("config", "init.defaultBranch");
  // Before the first commit there is only the name of a branch.
  const candidates = existing.length === 0 ? [current] : existing;
  const only = existing.length === 1 ? existing[0] : undefined;
  const main =
    [origin, "main", "master", configured].find((one) => one !== undefined && candidates.includes(one)) ?? only;

  const isGone = async (branch: string): Promise<boolean> => {
    // A repository without any branch has lost them, or has none yet.
    if (listed.stderr || trees.stderr || existing.length === 0 || branches.includes(branch)) return false;
    // Deleting a branch takes its reference and its log; what has one of them was damaged, whatever git says.
    const files = [join("refs/heads", branch), join("logs/refs/heads", branch)];
    if (files.some((file) => isFile(join(repository, file)))) return false;
    return git("rev-parse", "-q", "--verify", `refs/heads/${branch}`).then(
      () => false,
      ({ code, stderr }) => code === 1 && !stderr,
    );
  };
  return { headFile, repository, branches, current, main, doubt: listed.stderr || trees.stderr || undefined, isGone };
}

/** Git in a directory: as it answers; or with a `UsageError` that says what failed; or undefined for what is not set. */
function gitIn(cwd: string, name: string) {
  // A hook of git's has variables that say another repository.
  const { GIT_DIR: _, GIT_COMMON_DIR: __, GIT_WORK_TREE: ___, ...env } = process.env;
  const git = async (...args: string[]): Promise<Answer> => {
    const { stdout, stderr } = await run("git", ["-C", cwd, ...args], { env, maxBuffer });
    return { stdout: stdout.trim(), stderr: stderr.trim() };
  };
  const failure = ([command]: string[], cause: unknown) =>
    new UsageError(`${name}: git ${command} failed in ${cwd}: ${reasonOf(cause)}`, { cause });
  const need = (...args: string[]) =>
    git(...args).catch((error) => {
      throw failure(args, error);
    });
  // What is not set is no failure: git ends with 1 then, and with more when it fails.
  const ask = (...args: string[]) =>
    git(...args).then(
      ({ stdout }) => stdout || undefined,
      (error) => {
        if (error.code === 1) return undefined;
        throw failure(args, error);
      },
    );
  return { git, need, ask };
}

function refuseOthers(options: ResolvedOptions, name: string): void {
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
}

/** A directory is there for branches whose names begin like that. */
function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function withoutPrefix(reference: string | undefined, prefix: string): string | undefined {
  return reference?.startsWith(prefix) ? reference.slice(prefix.length) : undefined;
}

function reasonOf(error: unknown): string {
  const { code, stderr, message } = error as { code?: unknown; stderr?: string; message: string };
  return code === "ENOENT" ? "there is no git" : stderr?.trim().split("\n")[0] || message;
}
