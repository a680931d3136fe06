/**
 * The git branch that is checked out, and the database that belongs to it: `--per-git-branch`.
 *
 * Owns: reading what is checked out, the names. Does not own: making these databases (`../thread/database-branches.ts`), finding the
 * checkout and collecting those of branches that are gone (`../dev-db/git-databases.ts`).
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { branchDatabase } from "./branches.ts";

/** A checkout whose branches have databases, for the thread that serves clients. */
export interface PerGitBranch {
  /** The database that belongs to `main`, which the others are made from. */
  readonly database: string;
  /** The branch whose database that is. */
  readonly main: string;
  /** HEAD of the checkout (of the worktree, where it is one). */
  readonly headFile: string;
  /** The repository's own directory, which all its worktrees share: whose branches these are. */
  readonly repository: string;
}

/** The comment of such a database, as a pattern of PostgreSQL's and as text. */
const comment = { begin: "of the git branch ", middle: " in " };

/** NAMEDATALEN without the byte at its end, and a separator. */
const longestDatabase = 63;
const hashDigits = 6;

/** The branch that a HEAD says; undefined when none is checked out: a rebase, a tag. Throws where the file cannot be read. */
export function checkedOut(headFile: string): string | undefined {
  return /^ref: refs\/heads\/(.+)$/m.exec(readFileSync(headFile, "utf8"))?.[1];
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

/** Which database a client gets that asks for that of `main`. */
export class GitDatabases {
  readonly #of: PerGitBranch;
  /** What was checked out last. */
  #branch: string;

  /** `branch`: what is checked out when the server starts. */
  constructor(of: PerGitBranch) {
    this.#of = of;
    this.#branch = of.main;
  }

  /** That of what is checked out now, with what it says of itself; undefined for a client that asks for another one. */
  for(database: string): { readonly database: string; readonly description: string } | undefined {
    if (database !== this.#of.database) return undefined;
    // While none is checked out, it stays the last one; a checkout that is gone has none any more either.
    try {
      this.#branch = checkedOut(this.#of.headFile) ?? this.#branch;
    } catch {}
    const own = databaseOfGitBranch(this.#of, this.#branch);
    return { database: own, description: describeGitBranch(this.#of, this.#branch) };
  }
}
