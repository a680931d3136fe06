/**
 * Folders of plain `*.sql` files, each applied in natural name order (`2_b.sql` before `10_a.sql`).
 *
 * Owns: the order, and the rule that an applied file stays as it is. Does not own: the ledger's shape (`own-ledger.ts`)
 * or running the files.
 * Invariant: nothing is applied while an applied file is changed or gone.
 *
 * Undo files (`undo-files.ts`) are never applied. Flyway's repeatable `R__a.sql` is applied after all others, and again after a change.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { MigrationError } from "../errors.ts";
import type { Log } from "../options.ts";
import type { Migration, MigrationPlan, SqlEngine } from "./migration.ts";
import { plainMigrations } from "./migration-folder.ts";
import { readOwnLedger, recordInOwnLedger } from "./own-ledger.ts";
import { SqlFile } from "./sql-file.ts";
import { displayPath } from "./sql-place.ts";
import { undoFiles } from "./undo-files.ts";

const LEDGER = "pglite_devdb.migrations";

const repeatable = /^R__.*\.sql$/i;

/** Reads the folders and the ledger. The ledger knows a file by its name, whichever folder it is in. */
export async function planPlain(engine: SqlEngine, directories: readonly string[], log: Log): Promise<MigrationPlan> {
  const folders = await Promise.all(directories.map(filesIn));
  const found = folders.flatMap(({ migrations }) => migrations);
  const known = new Set([...found.map(({ name }) => name), ...folders.flatMap(({ undo }) => undo)]);
  const applied = await readOwnLedger(engine, LEDGER);
  for (const name of applied.keys()) {
    if (known.has(name)) continue;
    throw new MigrationError(
      `${displayPath(join(directories[0]!, name))} is gone, but it was applied to this database.\n` +
        "  hint: restore the file, or start with a new database",
    );
  }
  const pending: Migration[] = [];
  for (const [at, { name, path }] of found.entries()) {
    const twin = found.slice(0, at).find((file) => file.name === name);
    if (twin)
      throw new MigrationError(
        `${displayPath(twin.path)} and ${displayPath(path)} have the same name; the ledger identifies a file by its name`,
      );
    const file = await SqlFile.open(path);
    const { lf: checksum } = await file.checksums();
    const isChanged = applied.has(name) && applied.get(name) !== checksum;
    if (!applied.has(name) || (isChanged && repeatable.test(name))) {
      const recordSql = recordInOwnLedger(LEDGER, name, checksum, isChanged ? "again" : "first");
      pending.push({ name, file, ledger: LEDGER, recordSql });
    } else if (isChanged) {
      throw new MigrationError(
        `${displayPath(file.path)} was changed after it was applied to this database.\n` +
          "  hint: restore the file and put the change into a new one, or start with a new database",
      );
    } else if (pending.length > 0 && !repeatable.test(name)) {
      log("info", `${displayPath(pending[0]!.file.path)} is applied after ${name}, which comes later by name`);
    }
  }
  if (pending.length > 0) for (const { directory, undo } of folders) tellUndo(directory, undo, log);
  return { pending: pending.map((migration) => [migration]), alreadyApplied: found.length - pending.length };
}

/** The files of a folder, in the order in which they are applied. */
async function filesIn(directory: string) {
  const entries = await readdir(directory, { withFileTypes: true });
  const all = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  const names = plainMigrations(all).sort(compareNames);
  const migrations = names.map((name) => ({ name, path: join(directory, name) }));
  return { directory, migrations, undo: [...undoFiles(all)].sort(compareNames) };
}

function tellUndo(directory: string, undo: readonly string[], log: Log): void {
  const [first, ...others] = undo;
  if (first === undefined) return;
  const more =
    others.length === 0 ? "undoes another file and is" : `and ${others.length} more undo other files and are`;
  log("info", `${displayPath(join(directory, first))} ${more} not applied`);
}

/** The order in which files are applied: of Flyway's, `V1__a.sql` is before `V1.1__b.sql`. */
function compareNames(a: string, b: string): number {
  const [versionOfA, versionOfB] = [a, b].map((name) => /^V(\d[\d._]*?)__/i.exec(name)?.[1]?.replaceAll("_", "."));
  if (versionOfA !== undefined && versionOfB !== undefined && versionOfA !== versionOfB)
    return compareNaturally(versionOfA, versionOfB);
  return Number(repeatable.test(a)) - Number(repeatable.test(b)) || compareNaturally(a, b);
}

/** Orders file names with the numbers in them by value; equal values by the text, so that the order is total. */
export function compareNaturally(a: string, b: string): number {
  const partsOfA = partsOf(a);
  const partsOfB = partsOf(b);
  for (let i = 0; i < Math.min(partsOfA.length, partsOfB.length); i++) {
    const order = comparePart(partsOfA[i]!, partsOfB[i]!);
    if (order !== 0) return order;
  }
  return partsOfA.length - partsOfB.length || compareText(a, b);
}

function partsOf(fileName: string): string[] {
  return fileName.replace(/\.sql$/i, "").match(/\d+|\D+/g) ?? [];
}

function comparePart(a: string, b: string): number {
  if (!/^\d/.test(a) || !/^\d/.test(b)) return compareText(a, b);
  // Timestamps have more digits than a number holds exactly.
  const [valueOfA, valueOfB] = [BigInt(a), BigInt(b)];
  return valueOfA < valueOfB ? -1 : valueOfA > valueOfB ? 1 : 0;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
