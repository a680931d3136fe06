/**
 * The objects that a comparison of two databases leaves out: ledgers of migration tools, and objects that the user names.
 *
 * Owns: the patterns, and the objects that belong to a matching object. Does not own: the compared objects (`read.ts`).
 * Invariant: a pattern is NAME or SCHEMA.NAME, with * and ?; a table's columns, constraints, indexes and sequences are left out with it.
 */
import type { Contents } from "./read.ts";

/** The ledger tables of migration tools, and the schemas made for them. */
export const knownLedgers: readonly string[] = [
  "pglite_devdb.*",
  "drizzle",
  "__drizzle_migrations",
  "_prisma_migrations",
  "knex_migrations",
  "knex_migrations_lock",
  "kysely_migration",
  "kysely_migration_lock",
  "SequelizeMeta",
  "pgmigrations",
  "mikro_orm_migrations",
  "graphile_migrate.*",
  "flyway_schema_history",
  "databasechangelog",
  "databasechangeloglock",
  "schema_migrations",
  "ar_internal_metadata",
  "alembic_version",
  "django_migrations",
  "goose_db_version",
];

/** A name as PostgreSQL writes it, with an optional schema, split into parts without quotes. */
type Path = readonly string[];

/** Removes the objects that match a pattern. */
export function leaveOut({ objects, rows }: Contents, patterns: readonly string[]): Contents {
  const isNamed = matcherOf(patterns);
  const kept = [...objects].map(([kind, found]) => {
    const others = [...found].filter(([name, definition]) => !pathsOf(kind.kind, name, definition).some(isNamed));
    return [kind, new Map(others)] as const;
  });
  return { objects: new Map(kept), rows: new Map([...rows].filter(([table]) => !pathsIn(table).some(isNamed))) };
}

function matcherOf(patterns: readonly string[]): (path: Path) => boolean {
  const rules = patterns.map((pattern) => {
    const [first, ...more] = pattern.split(".");
    return more.length === 0
      ? { name: glob(first!) }
      : { schema: glob(first!), name: glob(more.join(".")), isAll: more[0] === "*" };
  });
  return ([first = "", second]) =>
    rules.some(({ schema, name, isAll }) => {
      if (!schema) return name.test(second ?? first);
      return schema.test(first) && (second === undefined ? isAll : name.test(second));
    });
}

function glob(text: string): RegExp {
  const escaped = text.replaceAll(/[\\^$.+()[\]{}|]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`, "s");
}

/** Returns the names of an object, and of the table that it belongs to. */
function pathsOf(kind: string, name: string, definition: string): readonly Path[] {
  const table = kind === "index" ? / ON (?:ONLY )?(.+?) USING /.exec(definition) : / owned by (.+)$/.exec(definition);
  return [...pathsIn(name), ...(table ? pathsIn(table[1]!) : [])];
}

/** Finds the table in `trigger t on public.people`. A name without a schema counts only if the text has no other name. */
function pathsIn(text: string): readonly Path[] {
  const all = [...text.matchAll(/(?:"(?:[^"]|"")*"|[^\s".(),]+)(?:\.(?:"(?:[^"]|"")*"|[^\s".(),]+))*/g)].map(([path]) =>
    [...path.matchAll(/"((?:[^"]|"")*)"|[^".]+/g)].map(([plain, quoted]) => quoted?.replaceAll('""', '"') ?? plain),
  );
  const [first] = all;
  const isAlone = all.length === 1 || (all.length === 2 && first?.[0] === "schema");
  return isAlone ? all.slice(-1) : all.filter((path) => path.length > 1);
}
