/**
 * Extension names, as a user gives them, to PGlite extensions.
 *
 * Owns: which names there are and which package each comes from. Does not own: CREATE EXTENSION, which is SQL.
 * Invariant: nothing is loaded that was not named; a name that is not known is an error before the engine starts.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Extension, Extensions } from "@electric-sql/pglite";
import { UsageError } from "../errors.ts";

/** The extensions inside PGlite 0.5.14 (`@electric-sql/pglite/contrib/NAME`). */
export const contribExtensions = [
  "amcheck",
  "auto_explain",
  "bloom",
  "btree_gin",
  "btree_gist",
  "citext",
  "cube",
  "dict_int",
  "dict_xsyn",
  "earthdistance",
  "file_fdw",
  "fuzzystrmatch",
  "hstore",
  "intarray",
  "isn",
  "lo",
  "ltree",
  "moddatetime",
  "pageinspect",
  "pg_buffercache",
  "pg_freespacemap",
  "pg_stat_statements",
  "pg_surgery",
  "pg_trgm",
  "pg_visibility",
  "pg_walinspect",
  "pgcrypto",
  "seg",
  "tablefunc",
  "tcn",
  "tsm_system_rows",
  "tsm_system_time",
  "unaccent",
  "uuid_ossp",
] as const;

/** The extensions in packages of their own: name → package. The name is also that of the package's export. */
export const packageExtensions: Readonly<Record<string, string>> = {
  age: "@electric-sql/pglite-age",
  pg_hashids: "@electric-sql/pglite-pg_hashids",
  pg_ivm: "@electric-sql/pglite-pg_ivm",
  pg_textsearch: "@electric-sql/pglite-pg_textsearch",
  pg_uuidv7: "@electric-sql/pglite-pg_uuidv7",
  pgtap: "@electric-sql/pglite-pgtap",
  vector: "@electric-sql/pglite-pgvector",
};

/** Names that people also use. */
const aliases: Readonly<Record<string, string>> = { pgvector: "vector" };

/**
 * Loads the named extensions. PostgreSQL's spelling (`uuid-ossp`) is accepted as well as PGlite's (`uuid_ossp`).
 * Throws a `UsageError`, which begins with `option`, for a name that is not known or whose package is not installed
 * here or in the project at `directory`.
 */
export async function loadExtensions(
  names: readonly string[],
  directory: string,
  option: string,
  packages: Readonly<Record<string, string>> = packageExtensions,
): Promise<Extensions> {
  const extensions: Extensions = {};
  for (const given of names) {
    const name = aliases[given] ?? given.replaceAll("-", "_");
    if ((contribExtensions as readonly string[]).includes(name)) {
      extensions[name] = pick(await import(`@electric-sql/pglite/contrib/${name}`), name);
    } else if (Object.hasOwn(packages, name)) {
      extensions[name] = await loadPackage(name, packages[name]!, directory, option);
    } else {
      const known = [...contribExtensions, ...Object.keys(packages)].sort().join(", ");
      throw new UsageError(`${option}: there is no extension ${JSON.stringify(given)}; the extensions are ${known}`);
    }
  }
  return extensions;
}

async function loadPackage(name: string, packageName: string, directory: string, option: string): Promise<Extension> {
  try {
    return pick(await import(packageName), name);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  // With npx or a strict package manager only the user's project can see the package.
  const resolve = createRequire(join(directory, "package.json")).resolve;
  let file: string;
  try {
    file = resolve(packageName);
  } catch (error) {
    if (!isMissing(error)) throw error;
    const sentence = `${option}: the extension ${name} needs the package ${packageName}, which is not installed`;
    throw new UsageError(`${sentence}; npm install --save-dev ${packageName}`, { cause: error });
  }
  return pick(await import(pathToFileURL(file).href), name);
}

function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND";
}

/** The export, also of a CommonJS build whose names Node cannot see. */
function pick(module: Record<string, unknown>, name: string): Extension {
  const inner = module.default as Record<string, unknown> | undefined;
  return (module[name] ?? inner?.[name]) as Extension;
}
