/**
 * The git branch that is checked out, and the database that belongs to it: `--per-git-branch`.
 *
 * Owns: reading what is checked out, the names. Does not own: making these databases (`../thread/database-branches.ts`), finding the
 * checkout (`../dev-db/git-checkout.ts`), collecting those of branches that are gone (`../dev-db/git-databases.ts`).
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { branchDatabase } from "./branches.ts";

/** A checkout whose branches have databases, for the thread that serves clients. */
export interface PerGitBranch {
  /** The database that belongs to `main`, which the others are made from. */
  readonly database: string;
  /** The branch whose database that is. */
  readonly main: string;
  /** `main` is gone: the branch that has its database instead, unless it has one of its own. */
  readonly heir?: string | undefined;
  /** HEAD of the checkout (of the worktree, where it is one). */
  readonly headFile: string;
  /** The repository's own directory, which all its worktrees share: whose branches these are. */
  readonly repository: string;
  /** What was checked out last, which the thread after one that died goes on with while nothing is. */
  readonly last: LastBranch;
}

/** A branch's name in memory that threads share; 0 is its end. */
type LastBranch = Uint8Array<SharedArrayBuffer>;

/** More than the path of a reference can have. */
const longestBranch = 8192;

/** Memory for it, with the branch that is checked out at the start. */
export function rememberBranch(branch: string): LastBranch {
  const last = new Uint8Array(new SharedArrayBuffer(longestBranch));
  writeLast(last, branch);
  return last;
}

function writeLast(last: LastBranch, branch: string): void {
  assert(Buffer.byteLength(branch) < longestBranch, "a reference's name is one that a file can have");
  Buffer.from(last.buffer).write(`${branch}\0`);
}

function readLast(last: LastBranch): string {
  return Buffer.from(last.slice(0, last.indexOf(0))).toString();
}

/** The comment of such a database, as a pattern of PostgreSQL's and as text. */
const comment = { begin: "of the git branch ", middle: " in " };

/** NAMEDATALEN without the byte at its end, and a separator. */
const longestDatabase = 63;
const hashDigits = 6;

/** The longest database, in bytes, to whose name that of every git branch can be added. */
export const longestMainDatabase = longestDatabase - 1 - 1 - 1 - hashDigits;

/** What git keeps beside HEAD while it moves HEAD about itself: the branch that it began with. A bisection that began with none has a hash there. */
const underWay = [
  { file: "rebase-merge/head-name", branch: /^refs\/heads\/(.+)$/m },
  { file: "rebase-apply/head-name", branch: /^refs\/heads\/(.+)$/m },
  { file: "BISECT_START", branch: /^(?!(?:[0-9a-f]{40}|[0-9a-f]{64})$)(?:refs\/heads\/)?(.+)$/m },
];

/**
 * The branch that a HEAD says; in a rebase or a bisection the one that it began with; undefined when none is checked out: a tag. Throws where HEAD
 * cannot be read.
 */
export function checkedOut(headFile: string): string | undefined {
  const branch = /^ref: refs\/heads\/(.+)$/m.exec(readFileSync(headFile, "utf8"))?.[1];
  if (branch !== undefined) return branch;
  for (const { file, branch } of underWay) {
    const found = branch.exec(readIfThere(join(dirname(headFile), file)))?.[1];
    if (found !== undefined) return found;
  }
  return undefined;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/**
 * The database of a git branch. What cannot be in the name of a database's branch is a `-` there, and what is too long is cut: a part of its hash tells
 * such names apart.
 */
export function databaseOfGitBranch(
  { database, main }: Pick<PerGitBranch, "database" | "main">,
  branch: string,
): string {
  if (branch === main) return database;
  const plain = branch.replaceAll(/[^\w.-]/g, "-");
  const room = longestDatabase - Buffer.byteLength(database) - 1;
  if (plain === branch && plain.length <= room && !/^run_[0-9a-f]{8}$/.test(plain))
    return branchDatabase(database, plain);
  const hash = createHash("sha256").update(branch).digest("hex").slice(0, hashDigits);
  return branchDatabase(database, `${plain.slice(0, room - hashDigits - 1)}.${hash}`);
}

/** What a database says of itself that was made for a git branch. */
function describeGitBranch({ repository }: Pick<PerGitBranch, "repository">, branch: string): string {
  return `${comment.begin}${branch}${comment.middle}${repository}`;
}

/** The git branch that a database was made for by this repository; undefined for every other one. */
export function gitBranchOf({ repository }: Pick<PerGitBranch, "repository">, description: string): string | undefined {
  const end = `${comment.middle}${repository}`;
  if (!description.startsWith(comment.begin) || !description.endsWith(end)) return undefined;
  return description.slice(comment.begin.length, -end.length);
}

/** What is checked out has this database, which says that of itself. */
interface GitDatabase {
  readonly database: string;
  readonly description: string;
  /** Whether it is that of main's heir: see `PerGitBranch`. */
  readonly isHeirs: boolean;
}

/** Which database a client gets that asks for that of `main`. */
export class GitDatabases {
  #of: PerGitBranch;

  constructor(of: PerGitBranch) {
    this.#of = of;
  }

  /** That of what is checked out now; undefined for a client that asks for another one. */
  for(database: string): GitDatabase | undefined {
    const { headFile, last, heir } = this.#of;
    if (database !== this.#of.database) return undefined;
    let branch: string | undefined;
    // While none is checked out, it stays the last one; a checkout that is gone has none any more either.
    try {
      branch = checkedOut(headFile);
    } catch {}
    if (branch === undefined) branch = readLast(last);
    else writeLast(last, branch);
    return {
      database: databaseOfGitBranch(this.#of, branch),
      description: describeGitBranch(this.#of, branch),
      isHeirs: branch === heir,
    };
  }

  /** The heir has no database of its own: it is main from now on. Idempotent. */
  inherit(): void {
    const { main, heir = main } = this.#of;
    this.#of = { ...this.#of, main: heir, heir: undefined };
  }
}
