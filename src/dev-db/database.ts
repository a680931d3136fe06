/**
 * The user and the database that clients are told: `--user`, `--database`, as POSTGRES_USER and POSTGRES_DB of the docker image.
 *
 * Owns: their names, and making them where they are missing. Does not own: who may log in as whom (PostgreSQL).
 * Invariant: what is there is left as it is; from here on the process itself, with its migrations, is that user in that database.
 */
import type { Engine, OwnLogin } from "../engine/engine.ts";
import { executeSql } from "../engine/execute-sql.ts";
import { UsageError } from "../errors.ts";
import { quoteIdentifier, quoteLiteral, type SqlEngine } from "../migrate/index.ts";
import { nameOf, type OptionKey, type ResolvedOptions } from "../options.ts";
import { DatabaseError } from "../wire/query-results.ts";

/** Whom and what every database has. */
const everywhere = "postgres";

/** The names that the options say; a database is called like its user if nothing else is said. */
export function databaseOf(options: Pick<ResolvedOptions, "user" | "database">): { user: string; database: string } {
  const { user, database = user } = options;
  return { user, database };
}

/** Makes what is missing, and logs in there. Rejects with a `UsageError` in PostgreSQL's words for a name that cannot be had. */
export async function prepareDatabase(engine: Engine, options: ResolvedOptions): Promise<void> {
  await setIcuLocale(engine, options);
  const { user, database } = databaseOf(options);
  if (user === everywhere && database === everywhere) return;
  const givenBy = (key: OptionKey) => nameOf(options, key);
  const databaseOption = options.database === undefined ? givenBy("user") : givenBy("database");
  if (engine.sessions === "shared") {
    const option = user === everywhere ? databaseOption : givenBy("user");
    throw new UsageError(`${option}: with shared sessions there are only the user and the database ${everywhere}`);
  }
  await ensureUser(engine, user, givenBy("user"));
  await ensureDatabase(engine, database, databaseOption, user);
  const login = await loginOf(engine, { user, database });
  try {
    await engine.logIn(login);
  } catch (error) {
    throw new UsageError(`${databaseOption}: ${user} cannot connect to ${database}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/**
 * Sets an ICU locale as the sort order of every database without its own. PGlite's initdb has no ICU, so this changes the catalog of an empty
 * cluster. PostgreSQL's own indexes keep the order of code points.
 */
async function setIcuLocale(engine: Engine, options: ResolvedOptions): Promise<void> {
  const { icuLocale } = options;
  if (icuLocale === undefined) return;
  const option = nameOf(options, "icuLocale");
  if (engine.sessions === "shared") throw new UsageError(`${option}: needs isolated sessions, not shared ones`);
  const [found] = await executeSql(
    engine,
    `SELECT datlocprovider, datlocale, (SELECT count(*) FROM pg_database) = 3 AND NOT EXISTS (SELECT FROM pg_class WHERE oid >= 16384)
      FROM pg_database WHERE datname = 'template1'`,
  );
  const [provider, locale, isNew] = found!.rows[0]!;
  const [tag, version] = await standardForm(engine, icuLocale, option);
  if (provider === "i" && locale === tag) return;
  if (isNew !== "t")
    throw new UsageError(
      `${option}: cannot change the locale of ${options.db} from ${locale} to ${tag}; use a new data directory`,
    );
  await executeSql(
    engine,
    `UPDATE pg_database SET datlocprovider = 'i', datlocale = ${quoteLiteral(tag)}, datcollversion = ${quoteLiteral(version)}`,
  );
  // A session has the order with which it has begun.
  await engine.logIn({ user: everywhere, database: everywhere, isSuperuser: true });
}

/** The BCP 47 tag that PostgreSQL makes of a locale, and the version of its collation. */
async function standardForm(
  engine: Engine,
  icuLocale: string,
  option: string,
): Promise<[tag: string, version: string]> {
  try {
    const results = await executeSql(
      engine,
      `BEGIN; SET LOCAL icu_validation_level = error; SET LOCAL client_min_messages = error;
        CREATE COLLATION pg_temp.given (provider = icu, locale = ${quoteLiteral(icuLocale)});
        SELECT colllocale, collversion FROM pg_collation WHERE oid = 'pg_temp.given'::regcollation; ROLLBACK`,
    );
    const [tag, version] = results.find(({ rows }) => rows.length > 0)!.rows[0]!;
    return [tag!, version!];
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    await executeSql(engine, "ROLLBACK");
    throw new UsageError(`${option}: ${JSON.stringify(icuLocale)} is not an ICU locale: ${error.message}`, {
      cause: error,
    });
  }
}

/** How the process itself logs in as a user in a database. */
export async function loginOf(engine: Engine, of: Pick<OwnLogin, "user" | "database">): Promise<OwnLogin> {
  const [found] = await executeSql(engine, `SELECT rolsuper FROM pg_roles WHERE rolname = ${quoteLiteral(of.user)}`);
  return { ...of, isSuperuser: found!.rows[0]?.[0] === "t" };
}

/** Makes a superuser unless there is a role of that name; one without a password gets `password`. `option` is named in the error. */
export async function ensureUser(sql: SqlEngine, user: string, option: string, password?: string): Promise<void> {
  const there = `pg_roles WHERE rolname = ${quoteLiteral(user)}`;
  await makeUnless(sql, option, there, `CREATE ROLE ${quoteIdentifier(user)} SUPERUSER LOGIN`);
  if (password === undefined) return;
  // The log is kept longer than a password should be.
  await executeSql(sql, "SET log_statement = 'none'; SET log_min_duration_statement = -1");
  const has = `pg_authid WHERE rolname = ${quoteLiteral(user)} AND rolpassword IS NOT NULL`;
  await makeUnless(sql, option, has, `ALTER ROLE ${quoteIdentifier(user)} PASSWORD ${quoteLiteral(password)}`);
}

/** Makes a database unless it is there. Resolves with whether it did. */
export function ensureDatabase(sql: SqlEngine, database: string, option: string, owner?: string): Promise<boolean> {
  const there = `pg_database WHERE datname = ${quoteLiteral(database)}`;
  const of = owner === undefined ? "" : ` OWNER ${quoteIdentifier(owner)}`;
  return makeUnless(sql, option, there, `CREATE DATABASE ${quoteIdentifier(database)}${of}`);
}

/** Somebody else was faster: duplicate_database, unique_violation (of the catalog). */
const isThereByNow = new Set(["42P04", "23505"]);

async function makeUnless(sql: SqlEngine, option: string, there: string, make: string): Promise<boolean> {
  const [found] = await executeSql(sql, `SELECT 1 FROM ${there}`);
  if (found!.rows.length > 0) return false;
  try {
    await executeSql(sql, make);
    return true;
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    if (isThereByNow.has(error.code)) return false;
    throw new UsageError(`${option}: ${error.message} (${error.code})`, { cause: error });
  }
}
