/**
 * The seed: data that a database gets once, after its migrations.
 *
 * Owns: the two kinds of seed, and the record of which seed a database has had. Does not own: a listener; a module
 * seed gets a URL from whoever starts one for it.
 * Invariant: a seed runs at most once per database and file name, so that a second start on the same data adds nothing;
 * a SQL seed and its record are one transaction.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { MigrationError, UsageError } from "../errors.ts";
import type { Log } from "../options.ts";
import { executeOnLedger, type SqlEngine } from "./migration.ts";
import { ownChecksum, readOwnLedger, recordInOwnLedger } from "./own-ledger.ts";
import { refuseUnsupported } from "./refuse-unsupported.ts";
import { runTogether } from "./run-migration.ts";
import { chunksOf, displayPath, readSqlFile } from "./sql-file.ts";

const LEDGER = "pglite_devdb.seeds";
const MODULE_EXTENSIONS = [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"];

/** `sql` runs before the server listens; `module` needs a URL to connect to. */
export type SeedKind = "sql" | "module";

/** Which kind of seed a file is, by its name. Throws a `UsageError` when it is missing or neither. */
export function seedKind(file: string): SeedKind {
  const extension = extname(file).toLowerCase();
  if (extension !== ".sql" && !MODULE_EXTENSIONS.includes(extension))
    throw new UsageError(
      `the seed ${file} is neither a .sql file nor a module (${MODULE_EXTENSIONS.join(", ")}) with a default function`,
    );
  if (!existsSync(file)) throw new UsageError(`the seed ${file} does not exist`);
  return extension === ".sql" ? "sql" : "module";
}

/**
 * Applies a SQL seed in one transaction (with the same exceptions as a migration) unless the database has had it.
 * Resolves to whether it ran. Throws a `MigrationError` like a migration's.
 */
export async function applySeed(engine: SqlEngine, file: string, log: Log = () => undefined): Promise<boolean> {
  const sqlFile = await readSqlFile(resolve(file));
  const checksum = ownChecksum(sqlFile);
  if (!(await isNewSeed(engine, file, checksum, log))) return false;
  const migration = {
    name: basename(file),
    file: sqlFile,
    chunks: chunksOf(sqlFile.text),
    ledger: LEDGER,
    recordSql: recordInOwnLedger(LEDGER, basename(file), checksum),
  };
  refuseUnsupported(migration);
  await runTogether(engine, [migration], log);
  return true;
}

/**
 * Whether the database has not had this module seed yet. If so, run it with `runModuleSeed` against a listener that
 * nobody else knows, close that listener, and then call `recordModuleSeed`.
 */
export async function shouldRunModuleSeed(
  engine: SqlEngine,
  file: string,
  log: Log = () => undefined,
): Promise<boolean> {
  return isNewSeed(engine, file, await moduleChecksum(file), log);
}

/** Records that the module seed ran. Nobody else may use the engine: its session must have no open transaction. */
export async function recordModuleSeed(engine: SqlEngine, file: string): Promise<void> {
  await executeOnLedger(engine, LEDGER, recordInOwnLedger(LEDGER, basename(file), await moduleChecksum(file)));
}

/**
 * Imports the module and awaits its default export, an `async function (url)`.
 * Throws a `MigrationError` with the cause when it cannot be imported, has no such function, or fails. A TypeScript
 * module is imported as this Node (or a loader given to it) can.
 */
export async function runModuleSeed(file: string, url: string): Promise<void> {
  const path = displayPath(resolve(file));
  let seed: unknown;
  try {
    const module: { default?: unknown } = await import(pathToFileURL(resolve(file)).href);
    // A CommonJS module compiled from ESM has its default export one level down.
    seed = (module.default as { default?: unknown } | undefined)?.default ?? module.default;
  } catch (error) {
    throw new MigrationError(`the seed ${path} cannot be imported: ${messageOf(error)}${importAdvice(error)}`, {
      cause: error,
    });
  }
  if (typeof seed !== "function")
    throw new MigrationError(`the seed ${path} has no default function: export default async function seed(url) { … }`);
  try {
    await seed(url);
  } catch (error) {
    throw new MigrationError(`the seed ${path} failed: ${messageOf(error)}`, { cause: error });
  }
}

async function isNewSeed(engine: SqlEngine, file: string, checksum: string, log: Log): Promise<boolean> {
  const applied = (await readOwnLedger(engine, LEDGER)).get(basename(file));
  if (applied === undefined) return true;
  if (applied !== checksum)
    log(
      "info",
      `the seed ${file} was changed since this database had it; it is not run again (start with a new database, or delete its row in ${LEDGER})`,
    );
  return false;
}

async function moduleChecksum(file: string): Promise<string> {
  return ownChecksum({ text: await readFile(file, "utf8") });
}

function importAdvice(error: unknown): string {
  if ((error as NodeJS.ErrnoException).code === "ERR_UNKNOWN_FILE_EXTENSION")
    return `\n  hint: Node ${process.version} does not run TypeScript; use Node 22.18 or later, or a .js or .sql seed`;
  if (error instanceof SyntaxError)
    return '\n  hint: where package.json has "type": "commonjs", a module with import and export is named .mjs or .mts';
  return "";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
