/**
 * Where the migrations are: the `--migrations` setting turned into a folder and its kind.
 *
 * Owns: the places that `auto` looks at, and how the kind of a folder is told. Does not own: reading migrations.
 * Invariant: a folder that somebody named is used or refused, never passed over; only what `auto` merely came across is
 * passed over, and the log says so.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { UsageError } from "../errors.ts";
import type { Log } from "../options.ts";
import { type DrizzleConfig, defaultDrizzleLedger, findDrizzleConfig, readDrizzleConfig } from "./drizzle-config.ts";
import type { DrizzleSource, MigrationSource } from "./migration.ts";
import { isPlainMigration } from "./plain.ts";
import { displayPath } from "./sql-place.ts";

const PLACES = ["drizzle", "migrations", "prisma/migrations", "supabase/migrations", "db/migrations", "db/migrate"];

const EXPECTED =
  "meta/_journal.json or NAME/migration.sql with snapshot.json (drizzle-kit), NAME/migration.sql (Prisma), or .sql files (applied in name order)";

/**
 * Finds what to apply. `none` finds nothing; `auto` takes the first of the `out` of drizzle.config.* and of the
 * usual places that has migrations; anything else is a directory.
 * Throws a `UsageError` that names the directory when it is missing or holds no migrations (not with `auto`, which goes
 * on to the next place and tells `log`), and for a drizzle.config.* that cannot be understood.
 */
export async function findMigrations(
  setting: "auto" | "none" | string,
  cwd: string,
  log: Log = () => undefined,
): Promise<MigrationSource | undefined> {
  if (setting === "none") return undefined;
  if (setting === "auto") return findAutomatically(cwd, log);
  const directory = resolve(cwd, setting);
  if (!existsSync(directory))
    throw new UsageError(`the migrations directory ${setting} does not exist; expected ${EXPECTED}`);
  if (!statSync(directory).isDirectory())
    throw new UsageError(`the migrations directory ${setting} is a file; expected a directory with ${EXPECTED}`);
  const kind = kindOf(directory);
  if (kind === undefined)
    throw new UsageError(`the migrations directory ${setting} has no migrations; expected ${EXPECTED}`);
  if (!isDrizzle(kind)) return { kind, directory };
  return { kind, directory, ledger: await ledgerOf(directory, cwd, log) };
}

async function findAutomatically(cwd: string, log: Log): Promise<MigrationSource | undefined> {
  const configPath = findDrizzleConfig(cwd);
  const config = configPath === undefined ? undefined : await readDrizzleConfig(configPath);
  if (config !== undefined) {
    const source = sourceOfConfig(config, log);
    if (source !== undefined) return source;
  }
  for (const directory of PLACES.map((place) => join(cwd, place))) {
    if (!isDirectory(directory)) continue;
    const kind = kindOf(directory);
    if (isDrizzle(kind)) return { kind, directory, ledger: config?.ledger ?? defaultDrizzleLedger };
    if (kind !== undefined) return { kind, directory };
    log(
      "info",
      `${displayPath(directory)} has no migrations that can be applied here; expected ${EXPECTED}. Code is run by its own tool: --setup "CMD"`,
    );
  }
  return undefined;
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
  const kind = kindOf(out);
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

function isDrizzle(kind: MigrationSource["kind"] | undefined): kind is DrizzleSource["kind"] {
  return kind === "drizzle" || kind === "drizzle-folders";
}

/** The kind of a folder, by what it holds. */
function kindOf(directory: string): MigrationSource["kind"] | undefined {
  if (existsSync(join(directory, "meta", "_journal.json"))) return "drizzle";
  const entries = readdirSync(directory, { withFileTypes: true });
  const migrations = entries.filter(
    (entry) => entry.isDirectory() && existsSync(join(directory, entry.name, "migration.sql")),
  );
  if (migrations.some(({ name }) => existsSync(join(directory, name, "snapshot.json")))) return "drizzle-folders";
  if (migrations.length > 0) return "prisma";
  return entries.some((entry) => !entry.isDirectory() && isPlainMigration(entry.name)) ? "plain" : undefined;
}

function isDirectory(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}
