/**
 * drizzle.config.*: where its migrations are and which ledger they use.
 *
 * Owns: finding the file and reading the four settings that matter here. Does not own: the other settings, or whether
 * the folder exists.
 * Invariant: a setting that is written down is read without running the file, because such files read secrets and throw
 * without them; the file is only run when the settings cannot be known otherwise, and what is not known is an error.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { extname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { UsageError } from "../errors.ts";
import { type ObjectLiteral, readDefaultExport } from "./object-literal.ts";
import { displayPath } from "./sql-place.ts";

/** What drizzle.config.* says. */
export interface DrizzleConfig {
  /** The configuration file. */
  readonly path: string;
  /** The folder of the migrations, absolute. */
  readonly out: string;
  /** `postgresql`, another dialect, or undefined when the file does not say (drizzle-kit before 0.21). */
  readonly dialect: string | undefined;
  readonly ledger: { readonly schema: string; readonly table: string };
}

/** Imports a module by its URL. */
type Import = (url: string) => Promise<unknown>;

const DEFAULT_LEDGER = { schema: "drizzle", table: "__drizzle_migrations" };
const DEFAULT_OUT = "drizzle";
const FILE_NAMES = ["ts", "js", "mjs", "cjs", "json"].map((extension) => `drizzle.config.${extension}`);

/** The ledger that drizzle-kit uses when the configuration does not name one. */
export const defaultDrizzleLedger: DrizzleConfig["ledger"] = DEFAULT_LEDGER;

/** The path of the configuration file in a directory, in drizzle-kit's order. */
export function findDrizzleConfig(directory: string): string | undefined {
  return FILE_NAMES.map((name) => join(directory, name)).find((path) => existsSync(path));
}

/**
 * Reads a configuration file. Relative folders are relative to the file's directory, where drizzle-kit is run.
 * Throws a `UsageError` that says to pass `--migrations DIR` when the settings cannot be known.
 */
export async function readDrizzleConfig(
  path: string,
  importModule: Import = (url) => import(url),
): Promise<DrizzleConfig> {
  const settings = (await readWritten(path)) ?? (await readByRunning(path, importModule));
  return {
    path,
    out: resolve(path, "..", settings.out ?? DEFAULT_OUT),
    dialect: settings.dialect,
    ledger: { schema: settings.schema ?? DEFAULT_LEDGER.schema, table: settings.table ?? DEFAULT_LEDGER.table },
  };
}

interface Settings {
  out: string | undefined;
  dialect: string | undefined;
  schema: string | undefined;
  table: string | undefined;
}

/** The settings, or undefined when one of them is not literal. */
async function readWritten(path: string): Promise<Settings | undefined> {
  const text = await readFile(path, "utf8");
  if (extname(path) === ".json") return settingsOf(parseJson(path, text), path);
  const config = readDefaultExport(text);
  if (config === undefined) return undefined;
  try {
    const migrations = propertyOf(config, "migrations") ?? { properties: new Map(), open: false };
    if (typeof migrations === "string") return undefined;
    return {
      out: textOf(config, "out"),
      dialect: textOf(config, "dialect"),
      schema: textOf(migrations, "schema"),
      table: textOf(migrations, "table"),
    };
  } catch (error) {
    if (error instanceof NotLiteral) return undefined;
    throw error;
  }
}

class NotLiteral extends Error {}

/** A property's value, undefined when it is not there. Throws `NotLiteral` when only running the code could tell. */
function propertyOf(object: ObjectLiteral, key: string): string | ObjectLiteral | undefined {
  if (!object.properties.has(key)) {
    if (object.open) throw new NotLiteral(key);
    return undefined;
  }
  const value = object.properties.get(key);
  if (value === undefined) throw new NotLiteral(key);
  return value;
}

function textOf(object: ObjectLiteral, key: string): string | undefined {
  const value = propertyOf(object, key);
  if (typeof value === "object") throw new NotLiteral(key);
  return value;
}

async function readByRunning(path: string, importModule: Import): Promise<Settings> {
  let module: { default?: unknown };
  try {
    module = (await importModule(pathToFileURL(path).href)) as { default?: unknown };
  } catch (error) {
    const why =
      (error as NodeJS.ErrnoException).code === "ERR_UNKNOWN_FILE_EXTENSION"
        ? `Node ${process.version} does not run TypeScript`
        : (error as Error).message;
    throw new UsageError(
      `${displayPath(path)}: "out" is not written as plain text, and the file cannot be run to know it: ${why}; pass --migrations DIR`,
      { cause: error },
    );
  }
  return settingsOf((module.default as { default?: unknown } | undefined)?.default ?? module.default ?? module, path);
}

function settingsOf(config: unknown, path: string): Settings {
  const { out, dialect, migrations } = (config ?? {}) as Record<string, unknown>;
  const { schema, table } = (migrations ?? {}) as Record<string, unknown>;
  return {
    out: textOrError(out, "out", path),
    dialect: textOrError(dialect, "dialect", path),
    schema: textOrError(schema, "migrations.schema", path),
    table: textOrError(table, "migrations.table", path),
  };
}

function textOrError(value: unknown, key: string, path: string): string | undefined {
  if (value === undefined || typeof value === "string") return value;
  throw new UsageError(`${displayPath(path)}: "${key}" is not text; pass --migrations DIR`);
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${displayPath(path)} is not JSON: ${(error as Error).message}`, { cause: error });
  }
}
