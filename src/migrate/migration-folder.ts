/**
 * Tells what kind of migrations a folder has, by its contents.
 *
 * Owns: that decision, and the tool of a folder that cannot be applied here. Does not own: where folders are
 * (`find-migrations.ts`), reading migrations.
 * Invariant: a folder is plain SQL only if nothing else in it looks like migrations: a part of a project's migrations is never applied as if it were complete.
 */
import { type Dirent, existsSync, readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import type { MigrationSource } from "./migration.ts";
import { undoFiles } from "./undo-files.ts";

/** A folder of another tool. */
export interface ForeignFolder {
  readonly kind: "foreign";
  /** The file or folder in it that shows this. */
  readonly sign: string;
  /** The tool and its command for `--setup`, if known. */
  readonly tool: string | undefined;
  readonly setup: string;
}

type Folder = { readonly kind: MigrationSource["kind"] } | ForeignFolder;

const codeExtensions = new Set(".js .mjs .cjs .ts .mts .cts .py .rb .go .java .kt .php .cs .exs .rs".split(" "));
/** The name of a migration begins with a number or a version: 001_, V2__, 20260101120000-, m1_, Migration20260101120000. */
const numbered = /^(?:[a-z]{0,2}|migration)\d/i;
const flywayVersion = /^V\d[\d._]*__/;
/** Flyway runs these at other times, or instead of those with a version: callbacks, and a baseline. */
const flywayOther = /^(?:(?:before|after)[A-Z]\w*|createSchema)\.sql$|^B\d[\d._]*__.*\.sql$/;

/** A pattern for each tool's code, and the command that applies it. */
const tools: readonly { readonly tool: string; readonly setup: string; readonly code: RegExp }[] = [
  { tool: "node-pg-migrate", setup: "npx node-pg-migrate up", code: /\bpgm\b/ },
  { tool: "Sequelize", setup: 'npx sequelize-cli db:migrate --url "$DATABASE_URL"', code: /\bqueryInterface\b/ },
  { tool: "TypeORM", setup: "npx typeorm migration:run -d DATA_SOURCE", code: /\bMigrationInterface\b/ },
  { tool: "MikroORM", setup: "npx mikro-orm migration:up", code: /@mikro-orm\// },
  { tool: "Kysely", setup: "npx kysely migrate:latest", code: /\bKysely\b|from ["']kysely["']/ },
  { tool: "db-migrate", setup: "npx db-migrate up", code: /\bdb\.(?:runSql|createTable|addColumn)\b|\bdbmigrate\b/i },
  { tool: "Knex", setup: "npx knex migrate:latest", code: /\bknex\b/i },
  { tool: "Alembic", setup: "alembic upgrade head", code: /\balembic\b/ },
  { tool: "Django", setup: "python manage.py migrate", code: /\bdjango\.db\b/ },
  { tool: "Rails", setup: "bin/rails db:migrate", code: /\bActiveRecord::Migration\b/ },
  { tool: "goose", setup: "goose postgres up", code: /\bgoose\b/ },
  { tool: "Ecto", setup: "mix ecto.migrate", code: /\bEcto\.Migration\b/ },
  { tool: "Laravel", setup: "php artisan migrate", code: /\bIlluminate\\/ },
];

/** Returns undefined for a folder in which nothing looks like migrations. Throws the system's error if the folder cannot be read. */
export function folderAt(directory: string): Folder | undefined {
  if (existsSync(join(directory, "meta", "_journal.json"))) return { kind: "drizzle" };
  const entries = readdirSync(directory, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const files = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  const withMigration = folders.filter((name) => existsSync(join(directory, name, "migration.sql")));
  if (withMigration.some((name) => existsSync(join(directory, name, "snapshot.json"))))
    return { kind: "drizzle-folders" };
  if (withMigration.length > 0) return { kind: "prisma" };
  return (
    foreignFolder(directory, folders, files) ?? (plainMigrations(files).length > 0 ? { kind: "plain" } : undefined)
  );
}

/** Returns the file names that are plain migrations. */
export function plainMigrations(names: readonly string[]): string[] {
  const undo = undoFiles(names);
  return names.filter((name) => isSql(name) && !undo.has(name) && !name.startsWith("."));
}

function foreignFolder(
  directory: string,
  folders: readonly string[],
  files: readonly string[],
): ForeignFolder | undefined {
  const foreign = (sign: string, tool?: string, setup = "CMD"): ForeignFolder => ({
    kind: "foreign",
    sign,
    tool,
    setup,
  });
  if (folders.includes("committed")) return foreign("committed", "graphile-migrate", "npx graphile-migrate migrate");
  if (files.includes("current.sql") && hasGraphileConfig(join(directory, "..")))
    return foreign("current.sql", "graphile-migrate", "npx graphile-migrate migrate");
  if (files.includes("sqitch.plan")) return foreign("sqitch.plan", "Sqitch", "sqitch deploy");
  if (folders.includes("deploy") && folders.includes("revert")) return foreign("deploy", "Sqitch", "sqitch deploy");
  const changelog = files.find((name) => /changelog.*\.(xml|ya?ml|json|sql)$/i.test(name));
  if (changelog !== undefined) return foreign(changelog, "Liquibase", "liquibase update");
  const code = files.find(
    (name) => codeExtensions.has(extname(name)) && !/\.d\.[cm]?ts$/.test(name) && numbered.test(name),
  );
  if (code !== undefined) {
    const text = readFileSync(join(directory, code), "utf8");
    const { tool, setup } = tools.find((each) => each.code.test(text)) ?? {};
    return foreign(code, tool, setup);
  }
  const other = files.some((name) => flywayVersion.test(name)) && files.find((name) => flywayOther.test(name));
  if (other) return foreign(other, "Flyway", "flyway migrate");
  const deeper = folders.find((name) => hasNumberedSql(join(directory, name)));
  if (deeper === undefined) return undefined;
  const isFlyway = files.some((name) => /^[VR]\d*[\d._]*__/.test(name)) || hasVersioned(join(directory, deeper));
  return isFlyway ? foreign(`${deeper}/`, "Flyway", "flyway migrate") : foreign(`${deeper}/`);
}

/** Before the first commit there is no folder `committed`. */
function hasGraphileConfig(project: string): boolean {
  return [".gmrc", ".gmrc.js", ".gmrc.cjs"].some((name) => existsSync(join(project, name)));
}

function hasNumberedSql(directory: string): boolean {
  return deep(directory).some(({ name }) => isSql(name) && (numbered.test(name) || /^R__/.test(name)));
}

function hasVersioned(directory: string): boolean {
  return deep(directory).some(({ name }) => flywayVersion.test(name));
}

function deep(directory: string): Dirent[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true }).filter((entry) => !entry.isDirectory());
}

function isSql(name: string): boolean {
  return /\.sql$/i.test(name);
}
