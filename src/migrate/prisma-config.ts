/**
 * Finds Prisma's migrations and schema.
 *
 * Owns: prisma.config.*, the "prisma" key of package.json, `?schema=` of the URL in the environment or `.env`. Does not own: the folder itself
 * (`migration-folder.ts`).
 * Invariant: the project's code never runs; a configuration that is not plain text is skipped, and the log says so.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseEnv } from "node:util";
import type { Log } from "../options.ts";
import { type ObjectLiteral, readDefaultExport } from "./object-literal.ts";
import { displayPath } from "./sql-place.ts";

const extensions = ["ts", "mts", "cts", "js", "mjs", "cjs"];
const configFiles = [
  ...extensions.map((each) => `prisma.config.${each}`),
  ...extensions.map((each) => `.config/prisma.${each}`),
];
const schemaFiles = ["prisma/schema.prisma", "schema.prisma"];
/** Prisma's default for PostgreSQL. */
const defaultSchema = "public";

/** A project's settings for Prisma. */
interface PrismaProject {
  /** Absolute; undefined if the project names no folder. */
  readonly migrations: string | undefined;
  /** The schema of the tables and the ledger. */
  readonly schema: string;
}

/** Reads the settings in a directory. */
export function readPrismaProject(cwd: string, log: Log): PrismaProject {
  const config = configFiles.map((name) => join(cwd, name)).find((path) => existsSync(path));
  const written = config === undefined ? undefined : readDefaultExport(readFileSync(config, "utf8"));
  if (config !== undefined && !written)
    log(
      "info",
      `${displayPath(config)} is not a plain object literal; looking for Prisma's migrations in the usual places`,
    );
  const migrations = written && textOf(nested(written, "migrations"), "path");
  const schemaPath = (written && textOf(written, "schema")) ?? schemaOfPackage(cwd);
  const at = schemaPath === undefined ? undefined : resolve(cwd, schemaPath);
  const besideSchema = at === undefined ? undefined : join(isDirectory(at) ? at : dirname(at), "migrations");
  return {
    migrations: migrations === undefined ? besideSchema : resolve(cwd, migrations),
    schema: schemaOfUrl(cwd, at, config) ?? defaultSchema,
  };
}

function nested(object: ObjectLiteral, key: string): ObjectLiteral | undefined {
  const value = object.properties.get(key);
  return typeof value === "object" ? value : undefined;
}

function textOf(object: ObjectLiteral | undefined, key: string): string | undefined {
  const value = object?.properties.get(key);
  return typeof value === "string" ? value : undefined;
}

function schemaOfPackage(cwd: string): string | undefined {
  try {
    const { prisma } = JSON.parse(readFileSync(join(cwd, "package.json"), "utf8")) as { prisma?: { schema?: unknown } };
    return typeof prisma?.schema === "string" ? prisma.schema : undefined;
  } catch {
    // The reader of the options reports a broken package.json.
    return undefined;
  }
}

/** The parameter `schema` of the URL that the datasource names; or of DATABASE_URL if none is written down. */
function schemaOfUrl(cwd: string, schemaPath: string | undefined, config: string | undefined): string | undefined {
  const files = [schemaPath, config, ...schemaFiles.map((name) => join(cwd, name))];
  const texts = files
    .filter((path) => path !== undefined && existsSync(path) && !isDirectory(path))
    .map((path) => readFileSync(path!, "utf8"));
  const [, literal, variable = "DATABASE_URL"] =
    texts
      .map((text) => /\burl\s*[=:]\s*(?:"([^"]*)"|(?:env\(\s*["']|process\.env\.)(\w+))/.exec(text))
      .find((found) => found !== null) ?? [];
  const url = literal ?? process.env[variable] ?? dotenvOf(cwd)[variable];
  return url !== undefined && URL.canParse(url) ? (new URL(url).searchParams.get("schema") ?? undefined) : undefined;
}

function dotenvOf(cwd: string): NodeJS.Dict<string> {
  const path = [".env", "prisma/.env"].map((name) => join(cwd, name)).find((name) => existsSync(name));
  return path === undefined ? {} : parseEnv(readFileSync(path, "utf8"));
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
