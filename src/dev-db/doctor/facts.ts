/**
 * What a PostgreSQL says about itself.
 *
 * Owns: the queries. Does not own: what is made of the answers (`server.ts`).
 * Invariant: nothing is changed, and what a user may not see is left out rather than an error.
 */
import { executeSql } from "../../engine/execute-sql.ts";
import type { SqlEngine } from "../../migrate/index.ts";

/** Of one database of a server, as one user sees it. */
export interface ServerFacts {
  /** `18.4`, of whatever `server_version` says. */
  readonly version: string;
  readonly isInRecovery: boolean;
  readonly mayMakeDatabases: boolean;
  readonly isSuperuser: boolean;
  /** Encoding, collation, ctype, locale provider and its locale, by name. */
  readonly database: Readonly<Record<string, string>>;
  readonly settings: ReadonlyMap<string, string>;
  /** Default version by name. */
  readonly available: ReadonlyMap<string, string>;
  readonly installed: ReadonlyMap<string, string>;
  /** A table that no extension has made. */
  readonly hasTables: boolean;
}

const queries = `
  SELECT current_setting('server_version'), pg_is_in_recovery(),
    (SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user), (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
    EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p') AND nspname NOT IN ('information_schema', 'pglite_devdb') AND nspname !~ '^pg_'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'));
  SELECT pg_encoding_to_char(encoding), datcollate, datctype, d->>'datlocprovider', coalesce(d->>'datlocale', d->>'daticulocale')
    FROM (SELECT *, to_jsonb(pg_database) AS d FROM pg_database WHERE datname = current_database()) AS own;
  SELECT name, current_setting(name) FROM pg_settings;
  SELECT name, default_version FROM pg_available_extensions;
  SELECT extname, extversion FROM pg_extension`;

/** Asks for all of it. */
export async function readFacts(sql: SqlEngine): Promise<ServerFacts> {
  const [server, database, settings, available, installed] = (await executeSql(sql, queries)).map(({ rows }) => rows);
  const [version, recovery, createdb, superuser, tables] = server?.[0] ?? [];
  const [encoding, collation, ctype, provider, locale] = database?.[0] ?? [];
  const words: Record<string, string> = { c: "libc", i: "icu", b: "builtin" };
  return {
    version: version?.split(" ")[0] ?? "",
    isInRecovery: recovery === "t",
    mayMakeDatabases: createdb === "t",
    isSuperuser: superuser === "t",
    database: {
      encoding: encoding ?? "",
      collation: collation ?? "",
      ctype: ctype ?? "",
      "locale provider": words[provider ?? "c"] ?? "",
      ...(locale ? { locale } : {}),
    },
    settings: pairs(settings),
    available: pairs(available),
    installed: pairs(installed),
    hasTables: tables === "t",
  };
}

function pairs(rows: readonly (readonly (string | null)[])[] = []): ReadonlyMap<string, string> {
  return new Map(rows.map(([name, value]) => [name!, value ?? ""]));
}
