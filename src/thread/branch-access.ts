/**
 * Checks which roles may get a branch of a database, and which roles may connect to it.
 *
 * Owns: PostgreSQL's checks of a role that asks for a branch by its name, and copying what CREATE DATABASE leaves out. Does not own: making
 * the branch (`database-branches.ts`, `prepared-branches.ts`).
 * Mirrors CheckMyDatabase (utils/init/postinit.c) and createdb (commands/dbcommands.c).
 * Invariant: a branch gives a role no access that its source does not give.
 */
import { SqlStateError } from "../errors.ts";
import { quoteLiteral } from "../migrate/sql-quoting.ts";
import type { OwnSession } from "./own-session.ts";

/** The condition that selects from `pg_shdepend` the roles that a database's privileges name. */
export const namedInPrivileges = "dbid = 0 and classid = 'pg_database'::regclass and deptype = 'a'";

/** Whether a role that logs in may make a branch; rejects with PostgreSQL's error if not. False for a role that may not log in: PostgreSQL reports that. */
export async function requireAccess(
  run: OwnSession["ask"],
  source: string,
  user: string,
  makes: boolean,
): Promise<boolean> {
  const [facts] =
    await run(`select datallowconn, has_database_privilege(r.oid, d.oid, 'connect'), datconnlimit = 0 and not rolsuper,
      rolsuper or rolcreatedb, datistemplate or pg_has_role(r.oid, datdba, 'usage')
    from pg_database d, pg_roles r
    where datname = ${quoteLiteral(source)} and rolname = ${quoteLiteral(user)} and rolcanlogin`);
  if (!facts) return false;
  const [isOpen, mayConnect, isFull, mayCreate, mayCopy] = facts.map((fact) => fact === "t");
  if (!isOpen) throw closed(source);
  if (!mayConnect) throw new SqlStateError("42501", `permission denied for database "${source}"`);
  if (isFull) throw new SqlStateError("53300", `too many connections for database "${source}"`);
  if (makes && !mayCreate) throw new SqlStateError("42501", "permission denied to create database");
  if (makes && !mayCopy) throw new SqlStateError("42501", `permission denied to copy database "${source}"`);
  return true;
}

/** Returns the error for a database that allows no connections. */
export function closed(database: string): Error {
  return new SqlStateError("55000", `database "${database}" is not currently accepting connections`);
}

/** Returns the SQL expression for a database's OID. */
export function oidOf(database: string): string {
  return `(select oid from pg_database where datname = ${quoteLiteral(database)})`;
}

/** Returns statements that give a database another database's privileges and connection limit. */
export function copyAccess(from: string, to: string): string {
  const [source, target] = [oidOf(from), oidOf(to)];
  return `
    delete from pg_shdepend where ${namedInPrivileges} and objid = ${target};
    insert into pg_shdepend select dbid, classid, ${target}, objsubid, refclassid, refobjid, deptype
      from pg_shdepend where ${namedInPrivileges} and objid = ${source};
    update pg_database set (datacl, datconnlimit) =
      (select datacl, datconnlimit from pg_database where oid = ${source}) where oid = ${target};`;
}
