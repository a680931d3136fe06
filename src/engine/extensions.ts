/**
 * Extension names, as a user gives them, to PGlite extensions.
 *
 * Owns: which names there are, which package each comes from, and importing it. Does not own: CREATE EXTENSION, which is SQL.
 * Invariant: nothing is loaded that was not named; a name that is not known is an error before the engine starts.
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Extension, Extensions } from "@electric-sql/pglite";
import { UsageError } from "../errors.ts";
import { isKnownVersion } from "../sessions/module/known-binaries.ts";

/** The extensions inside each PGlite of the range in package.json (`@electric-sql/pglite/contrib/NAME`). */
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

/** The extensions in packages of their own: name → package, in the newest version for a PGlite of the range. The name is also that of the package's export. */
export const packageExtensions: Readonly<Record<string, string>> = {
  age: "@electric-sql/pglite-age@0.0.15",
  pg_hashids: "@electric-sql/pglite-pg_hashids@0.0.15",
  pg_ivm: "@electric-sql/pglite-pg_ivm@0.0.15",
  pg_textsearch: "@electric-sql/pglite-pg_textsearch@0.0.16",
  pg_uuidv7: "@electric-sql/pglite-pg_uuidv7@0.0.15",
  pgtap: "@electric-sql/pglite-pgtap@0.0.15",
  vector: "@electric-sql/pglite-pgvector@0.0.15",
};

const pglite = "@electric-sql/pglite";

/** Names that people also use. */
const aliases: Readonly<Record<string, string>> = { pgvector: "vector" };

/** What to do about an error of PostgreSQL's that is about an extension, in a sentence. */
export function adviceAboutExtension(message: string): string | undefined {
  const [, missing] = /^extension "([^"]+)" is not available$/.exec(message) ?? [];
  const [, early] = /^(\w+) must be loaded via "?shared_preload_libraries"?/.exec(message) ?? [];
  if (early !== undefined) return `PostgreSQL has to have it from its start on: --extension ${early}`;
  if (missing === undefined) return undefined;
  const name = aliases[missing] ?? missing;
  return Object.hasOwn(packageExtensions, name)
    ? `npm install --save-dev ${packageExtensions[name]}, and start the server with --extension ${name}`
    : "it is neither in PGlite nor in a package that is known here: --extension @scope/package takes any other one for PGlite";
}

/** An extension that was found, in a form that can be sent to another thread. */
export interface FoundExtension {
  /** Its name in PGlite. */
  readonly name: string;
  /** What to import: a module of PGlite's, or a URL. */
  readonly module: string;
  /** The export; the only one that is an extension if it is left out. */
  readonly export?: string;
  /** Why it may not work, if there is a reason. */
  readonly doubt?: string;
}

/** A package that is no name of ours, and its export. */
const otherPackage = /^(@[\w.-]+\/[\w.-]+)(?::(\w+))?$/;

/**
 * Finds the named extensions. PostgreSQL's spelling (`uuid-ossp`) is accepted as well as PGlite's (`uuid_ossp`).
 * Throws a `UsageError`, which begins with `option`, for a name that is not known or whose package is not installed
 * here or in the project at `directory`. A package that is not known is named with its scope, and may have the export behind a colon.
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
    const [, other, exported] = otherPackage.exec(given) ?? [];
    if (other) {
      const where = findPackage({ name: given, install: other }, directory, option);
      found.set(given, {
        name: exported ?? other.replaceAll(/\W+/g, "_"),
        ...where,
        ...(exported ? { export: exported } : {}),
      });
    } else if ((contribExtensions as readonly string[]).includes(name)) {
      found.set(name, { name, export: name, module: `@electric-sql/pglite/contrib/${name}` });
    } else if (Object.hasOwn(packages, name)) {
      found.set(name, { name, export: name, ...findPackage({ name, install: packages[name]! }, directory, option) });
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
  for (const extension of found) extensions[extension.name] = pick(await import(extension.module), extension);
  return extensions;
}

function findPackage(
  { name, install }: { readonly name: string; readonly install: string },
  directory: string,
  option: string,
): Pick<FoundExtension, "module" | "doubt"> {
  const packageName = install.replace(/(?!^)@.*$/, "");
  // With npx or a strict package manager only the user's project can see the package.
  for (const from of [import.meta.url, join(directory, "package.json")]) {
    try {
      const path = createRequire(from).resolve(packageName);
      const doubt = doubtAbout(packageName, path);
      return { module: pathToFileURL(path).href, ...(doubt ? { doubt } : {}) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  const sentence = `${option}: the extension ${name} needs the package ${packageName}, which is not installed`;
  throw new UsageError(`${sentence}; npm install --save-dev ${install}`);
}

/** A library is compiled for one version of PGlite, and its package names that one. */
function doubtAbout(packageName: string, path: string): string | undefined {
  const wanted = manifestOf(packageName, path)?.peerDependencies?.[pglite];
  const version = manifestOf(pglite, createRequire(import.meta.url).resolve(pglite))?.version;
  if (!wanted || !version || !/^\d+\.\d+\.\d+$/.test(wanted) || wanted === version) return undefined;
  if (isKnownVersion(wanted) && isKnownVersion(version)) return undefined;
  return `${packageName} is for PGlite ${wanted}, and this is ${version}`;
}

interface PackageJson {
  readonly name?: string;
  readonly version?: string;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** The package.json of a package, from one of its files. */
function manifestOf(packageName: string, path: string): PackageJson | undefined {
  for (let at = dirname(path), below = path; at !== below; below = at, at = dirname(at)) {
    const file = join(at, "package.json");
    if (!existsSync(file)) continue;
    const found = JSON.parse(readFileSync(file, "utf8")) as PackageJson;
    if (found.name === packageName) return found;
  }
  return undefined;
}

/** The export, also of a CommonJS build whose names Node cannot see. */
function pick(module: Record<string, unknown>, { export: name, module: from }: FoundExtension): Extension {
  const inner = (module.default ?? {}) as Record<string, unknown>;
  if (name !== undefined) {
    const named = (module[name] ?? inner[name]) as Extension | undefined;
    if (named) return named;
    throw new UsageError(`there is no export ${name} in ${from}`);
  }
  const all = new Set([...Object.values(module), ...Object.values(inner)].filter(isExtension));
  if (all.size === 1) return [...all][0]!;
  throw new UsageError(`${from} exports ${all.size} extensions; name one: @scope/package:EXPORT`);
}

function isExtension(value: unknown): value is Extension {
  return typeof (value as { setup?: unknown } | undefined)?.setup === "function";
}
