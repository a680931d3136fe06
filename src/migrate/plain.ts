/**
 * Folders of plain `*.sql` files, applied in natural name order (`2_b.sql` before `10_a.sql`).
 *
 * Owns: the order, and the rule that an applied file stays as it is. Does not own: the ledger's shape (`own-ledger.ts`)
 * or running the files.
 * Invariant: nothing is applied while an applied file is changed or gone.
 *
 * `*.down.sql` is the undo half of a pair (golang-migrate, sqlx), as is Flyway's `U1__a.sql`: never applied. Flyway's repeatable
 * `R__a.sql` is applied behind all others, and again when it was changed.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { MigrationError } from "../errors.ts";
import type { Log } from "../options.ts";
import type { Migration, MigrationPlan, SqlEngine } from "./migration.ts";
import { readOwnLedger, recordInOwnLedger } from "./own-ledger.ts";
import { SqlFile } from "./sql-file.ts";
import { displayPath } from "./sql-place.ts";

const LEDGER = "pglite_devdb.migrations";

const undoing = /\.down\.sql$|^U\d[\d._]*__.*\.sql$/i;
const repeatable = /^R__.*\.sql$/i;

/** Whether a file of a folder is a plain migration, by its name. */
export function isPlainMigration(fileName: string): boolean {
  return /\.sql$/i.test(fileName) && !undoing.test(fileName) && !fileName.startsWith(".");
}

/** Reads the folder and the ledger. */
export async function planPlain(engine: SqlEngine, directory: string, log: Log): Promise<MigrationPlan> {
  const entries = await readdir(directory, { withFileTypes: true });
  const names = entries.filter((entry) => !entry.isDirectory() && isPlainMigration(entry.name)).map(({ name }) => name);
  const applied = await readOwnLedger(engine, LEDGER);
  for (const name of applied.keys()) {
    if (names.includes(name)) continue;
    throw new MigrationError(
      `${displayPath(join(directory, name))} is gone, but it was applied to this database.\n` +
        "  hint: restore the file, or start with a new database",
    );
  }
  const pending: Migration[] = [];
  for (const name of names.sort(compareNames)) {
    const file = await SqlFile.open(join(directory, name));
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
  return { pending: pending.map((migration) => [migration]), alreadyApplied: names.length - pending.length };
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
