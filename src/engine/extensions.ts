/**
 * Extension names, as a user gives them, to PGlite extensions.
 *
 * Owns: which names there are, which package each comes from, and importing it. Does not own: CREATE EXTENSION, which is SQL.
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

/** An extension that was found, in a form that can be sent to another thread. */
export interface FoundExtension {
  /** Its name in PGlite. */
  readonly name: string;
  /** What to import: a module of PGlite's, or a URL. */
  readonly module: string;
}

/**
 * Finds the named extensions. PostgreSQL's spelling (`uuid-ossp`) is accepted as well as PGlite's (`uuid_ossp`).
 * Throws a `UsageError`, which begins with `option`, for a name that is not known or whose package is not installed
 * here or in the project at `directory`.
 */
export function findExtensions(
  names: readonly string[],
  directory: string,
  option: string,
  packages: Readonly<Record<string, string>> = packageExtensions,
): FoundExtension[] {
  const found = new Map<string, FoundExtension>();
  for (const given of names) {
    const name = aliases[given] ?? given.replaceAll("-", "_");
    if ((contribExtensions as readonly string[]).includes(name)) {
      found.set(name, { name, module: `@electric-sql/pglite/contrib/${name}` });
    } else if (Object.hasOwn(packages, name)) {
      found.set(name, { name, module: findPackage(name, packages[name]!, directory, option) });
    } else {
      const known = [...contribExtensions, ...Object.keys(packages)].sort().join(", ");
      throw new UsageError(`${option}: there is no extension ${JSON.stringify(given)}; the extensions are ${known}`);
    }
  }
  return [...found.values()];
}

/** Imports extensions that were found, for PGlite. */
export async function importExtensions(found: readonly FoundExtension[]): Promise<Extensions> {
  const extensions: Extensions = {};
  for (const { name, module } of found) extensions[name] = pick(await import(module), name);
  return extensions;
}

function findPackage(name: string, packageName: string, directory: string, option: string): string {
  // With npx or a strict package manager only the user's project can see the package.
  for (const from of [import.meta.url, join(directory, "package.json")]) {
    try {
      return pathToFileURL(createRequire(from).resolve(packageName)).href;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  const sentence = `${option}: the extension ${name} needs the package ${packageName}, which is not installed`;
  throw new UsageError(`${sentence}; npm install --save-dev ${packageName}`);
}

/** The export, also of a CommonJS build whose names Node cannot see. */
function pick(module: Record<string, unknown>, name: string): Extension {
  const inner = module.default as Record<string, unknown> | undefined;
  return (module[name] ?? inner?.[name]) as Extension;
}
