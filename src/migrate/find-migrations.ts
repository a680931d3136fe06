/**
 * Where the migrations are: the `--migrations` setting turned into a folder and its kind.
 *
 * Owns: the places that `auto` looks at. Does not own: what a folder is (`migration-folder.ts`), reading migrations.
 * Invariant: a folder that somebody named is used or refused, never passed over; only what `auto` merely came across is
 * passed over, and the log says so.
 */
import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { UsageError } from "../errors.ts";
import type { Log } from "../options.ts";
import { type DrizzleConfig, defaultDrizzleLedger, findDrizzleConfig, readDrizzleConfig } from "./drizzle-config.ts";
import type { DrizzleSource, MigrationSource } from "./migration.ts";
import { type ForeignFolder, folderAt } from "./migration-folder.ts";
import { readPrismaProject } from "./prisma-config.ts";
import { displayPath } from "./sql-place.ts";

const PLACES = [
  "drizzle",
  "migrations",
  "prisma/migrations",
  "supabase/migrations",
  "netlify/database/migrations",
  "db/migrations",
  "db/migrate",
  "db/migration",
  "database/migrations",
  "src/migrations",
  "src/migration",
  "src/db/migrations",
  "src/main/resources/db/migration",
];

const EXPECTED =
  "meta/_journal.json or NAME/migration.sql with snapshot.json (drizzle-kit), NAME/migration.sql (Prisma), or .sql files (applied in name order)";

/**
 * Finds what to apply, in order. `none` finds nothing; `auto` takes the first of the `out` of drizzle.config.*, of what Prisma's configuration names
 * and of the usual places that has migrations; anything else is a directory.
 * Throws a `UsageError` that names the directory when it is missing or holds no migrations that can be applied here (not with `auto`, which goes
 * on to the next place and tells `log`), and for a drizzle.config.* that cannot be understood.
 */
export async function findMigrations(
  settings: readonly string[],
  cwd: string,
  log: Log = () => undefined,
): Promise<readonly MigrationSource[]> {
  const [first] = settings;
  const word = settings.find((setting) => setting === "auto" || setting === "none");
  if (word !== undefined && settings.length > 1)
    throw new UsageError(`${word} cannot be combined with other migrations: ${settings.join(", ")}`);
  if (first === undefined || word === "none") return [];
  if (word === "auto") return findAutomatically(cwd, log);
  const sources: MigrationSource[] = [];
  for (const setting of settings) sources.push(await sourceAt(setting, cwd, log));
  return sources;
}

async function sourceAt(setting: string, cwd: string, log: Log): Promise<MigrationSource> {
  const directory = resolve(cwd, setting);
  if (!existsSync(directory))
    throw new UsageError(`the migrations directory ${setting} does not exist; expected ${EXPECTED}`);
  if (!statSync(directory).isDirectory())
    throw new UsageError(`the migrations directory ${setting} is a file; expected a directory with ${EXPECTED}`);
  const folder = folderAt(directory);
  if (folder === undefined)
    throw new UsageError(`the migrations directory ${setting} has no migrations; expected ${EXPECTED}`);
  if (folder.kind === "foreign")
    throw new UsageError(
      `the migrations directory ${setting} ${describeForeign(folder)}, and cannot be applied here: ${remedy(folder)}`,
    );
  const { kind } = folder;
  if (isDrizzle(kind)) return { kind, directory, ledger: await ledgerOf(directory, cwd, log) };
  return kind === "prisma" ? { kind, directory, schema: readPrismaProject(cwd, log).schema } : { kind, directory };
}

async function findAutomatically(cwd: string, log: Log): Promise<readonly MigrationSource[]> {
  const configPath = findDrizzleConfig(cwd);
  const config = configPath === undefined ? undefined : await readDrizzleConfig(configPath);
  if (config !== undefined) {
    const source = sourceOfConfig(config, log);
    if (source !== undefined) return [source];
  }
  const prisma = readPrismaProject(cwd, log);
  const places = [
    ...(prisma.migrations === undefined ? [] : [prisma.migrations]),
    ...PLACES.map((place) => join(cwd, place)),
  ];
  for (const directory of new Set(places)) {
    if (!isDirectory(directory)) continue;
    const folder = folderAt(directory);
    if (folder && folder.kind !== "foreign") {
      const { kind } = folder;
      if (isDrizzle(kind)) return [{ kind, directory, ledger: config?.ledger ?? defaultDrizzleLedger }];
      return [kind === "prisma" ? { kind, directory, schema: prisma.schema } : { kind, directory }];
    }
    const why = folder
      ? `${describeForeign(folder)} and is skipped: ${remedy(folder)}`
      : `has no migrations that can be applied here; expected ${EXPECTED}. For migrations in code run their own tool: --setup "CMD"`;
    log("info", `${displayPath(directory)} ${why}`);
  }
  return [];
}

function describeForeign({ sign, tool }: ForeignFolder): string {
  const whose = tool === undefined ? "migrations that are not plain SQL files side by side" : `migrations of ${tool}`;
  return `has ${whose} (${sign})`;
}

function remedy({ setup }: ForeignFolder): string {
  const quote = setup.includes('"') ? "'" : '"';
  return `let their own tool apply them: --migrations none --setup ${quote}${setup}${quote}`;
}

function sourceOfConfig(config: DrizzleConfig, log: Log): MigrationSource | undefined {
  const { path, out, dialect, ledger } = config;
  if (dialect !== undefined && dialect !== "postgresql") {
    log("info", `${displayPath(path)} is for the dialect "${dialect}", not for postgresql; passed over`);
    return undefined;
  }
  // A project that only uses `drizzle-kit push` has no folder.
  if (!isDirectory(out)) {
    log("info", `${displayPath(path)} names the folder ${displayPath(out)}, which does not exist; passed over`);
    return undefined;
  }
  const kind = folderAt(out)?.kind;
  if (isDrizzle(kind)) return { kind, directory: out, ledger };
  if (kind !== undefined)
    throw new UsageError(
      `${displayPath(path)} names the folder ${displayPath(out)}, which has SQL but no meta/_journal.json; ` +
        "run drizzle-kit generate, or pass --migrations DIR or --migrations none",
    );
  log("info", `${displayPath(path)} names the folder ${displayPath(out)}, which has no migrations; passed over`);
  return undefined;
}

/** The ledger for a folder that was named by hand: as drizzle.config.* has it, if that is about this folder. */
async function ledgerOf(directory: string, cwd: string, log: Log): Promise<DrizzleConfig["ledger"]> {
  const configPath = findDrizzleConfig(cwd);
  if (configPath === undefined) return defaultDrizzleLedger;
  try {
    const config = await readDrizzleConfig(configPath);
    return config.out === directory ? config.ledger : defaultDrizzleLedger;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const { schema, table } = defaultDrizzleLedger;
    log("info", `${displayPath(configPath)} cannot be read, so the ledger is ${schema}.${table}`);
    return defaultDrizzleLedger;
  }
}

function isDrizzle(kind: string | undefined): kind is DrizzleSource["kind"] {
  return kind === "drizzle" || kind === "drizzle-folders";
}

function isDirectory(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}
