/**
 * `--per-git-branch`: which branch is the main one, whose data the database itself has.
 *
 * Owns: `pglite-devdb.git.json` in the data directory, where that is recorded. Does not own: what git says (`git-checkout.ts`), the data.
 * Invariant: what was recorded once holds, whatever git says later, as long as there is that branch: another one would be given its data.
 *
 * A comment on the database would be in the place of one of the user's, could be of one repository only, and could not be read before there is
 * an engine, which is told.
 */
import { readFileSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { syncFile } from "../engine/data-directory/sync-tree.ts";
import { type PerGitBranch, rememberBranch } from "../engine/git-branch.ts";
import { DataDirectoryError, UsageError } from "../errors.ts";
import { type Log, nameOf, type ResolvedOptions } from "../options.ts";
import { databaseOf } from "./database.ts";
import type { GitCheckout } from "./git-checkout.ts";

const recordName = "pglite-devdb.git.json";

/** Whose data a database has. The repository is relative to the data directory: both may be moved together. */
interface MainRecord {
  readonly repository: string;
  readonly database: string;
  readonly main: string;
}

/** Decides which branch is the main one. Only under the lock of the data directory. Rejects with a `UsageError` where nothing says which it is. */
export async function settleMain(
  options: ResolvedOptions,
  cwd: string,
  checkout: GitCheckout,
  log: Log,
): Promise<PerGitBranch> {
  const name = nameOf(options, "perGitBranch");
  const { database } = databaseOf(options);
  const { headFile, repository, branches, doubt } = checkout;
  const last = rememberBranch(checkout.current);
  const recorded = mainOf(readRecords(resolve(cwd, options.db)), keyOf(options, cwd, repository));
  if (recorded === undefined) {
    if (doubt !== undefined)
      throw new UsageError(`${name}: which branch is the main one cannot be found out, as git says: ${doubt}`);
    // Another one tomorrow would be given the data of this one.
    if (checkout.main === undefined)
      throw new UsageError(
        `${name}: which ${branches.length === 1 ? `branch will be the main one? ${checkout.current} has no commit yet, and there` : `of the ${branches.length} branches is the main one? There`} is no origin/HEAD, main or master; say: git config init.defaultBranch NAME`,
      );
    log("info", `${database} is the database of the main git branch, ${checkout.main}`);
    return { database, main: checkout.main, headFile, repository, last };
  }
  const isGone = await checkout.isGone(recorded);
  if (!isGone && checkout.main !== undefined && checkout.main !== recorded && doubt === undefined)
    log(
      "info",
      `main git branch: ${recorded}, whose data ${database} has from the first start, and not ${checkout.main}`,
    );
  const heir = isGone ? checkout.main : undefined;
  if (isGone && heir === undefined)
    log(
      "info",
      `warning: the git branch ${recorded} is gone, and nothing says which is the main one now: ${database} keeps its data`,
    );
  return { database, main: recorded, heir, headFile, repository, last };
}

/** Writes down whose data the database has. Rejects with the error of the system. */
export function recordMain(options: ResolvedOptions, cwd: string, { repository, main }: PerGitBranch): void {
  const directory = resolve(cwd, options.db);
  const records = readRecords(directory);
  const key = keyOf(options, cwd, repository);
  if (mainOf(records, key) === main) return;
  const others = records.filter((one) => !isOf(one, key));
  const path = join(directory, recordName);
  writeFileSync(`${path}.new`, `${JSON.stringify([...others, { ...key, main }], undefined, 2)}\n`);
  syncFile(`${path}.new`);
  renameSync(`${path}.new`, path);
  syncFile(directory);
}

type Key = Omit<MainRecord, "main">;

function keyOf(options: ResolvedOptions, cwd: string, repository: string): Key {
  const directory = realpathSync(resolve(cwd, options.db));
  return { repository: relative(directory, realpathSync(repository)), database: databaseOf(options).database };
}

function isOf(record: Key, { repository, database }: Key): boolean {
  return record.repository === repository && record.database === database;
}

function mainOf(records: readonly MainRecord[], key: Key): string | undefined {
  return records.find((one) => isOf(one, key))?.main;
}

function readRecords(directory: string): MainRecord[] {
  const path = join(directory, recordName);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw new DataDirectoryError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  try {
    const records: unknown = JSON.parse(text);
    if (Array.isArray(records) && records.every(isRecord)) return records;
  } catch {}
  throw new DataDirectoryError(
    `${path} is damaged, which says which git branch is the main one: write it anew, or delete it and have git say which it is`,
  );
}

function isRecord(value: unknown): value is MainRecord {
  const { repository, database, main } = (value ?? {}) as Record<keyof MainRecord, unknown>;
  return [repository, database, main].every((part) => typeof part === "string");
}
