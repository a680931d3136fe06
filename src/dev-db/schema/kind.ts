/**
 * What a query about one kind of objects is, and the parts that such queries share.
 *
 * Owns: which objects are a user's own. Does not own: the queries (`relations.ts`, `others.ts`, `attached.ts`).
 * Invariant: a query runs with an empty search_path, so that every name in its answer has its schema, quoted where PostgreSQL would.
 */

/** A kind of objects. */
export interface Kind {
  readonly kind: string;
  /** Answers with a row for each object: its name, which is its own among those of its kind, and its definition, which may be empty. */
  readonly sql: string;
  /** `changed`: that there is none says nothing, as what it is about is missing, too. `order`: a line for each part, and their order counts. */
  readonly counts?: "changed" | "order";
}

/** FirstNormalObjectId (access/transam.h): what has a lower number was made by initdb. */
export const firstOwn = 16384;

/** Whether an object was neither made by initdb nor belongs to an extension, which is compared by its version. `row`: alias of a row of `catalog`. */
export function isOwn(catalog: string, row: string): string {
  return `${row}.oid >= ${firstOwn} and not exists (select from pg_depend where classid = '${catalog}'::regclass
    and objid = ${row}.oid and deptype = 'e')`;
}

/** Whether a relation is a user's own, and lasts: temporary ones of others are nobody's. */
export function isOwnRelation(row: string): string {
  return `${row}.relpersistence <> 't' and ${row}.relnamespace <> 'pg_toast'::regnamespace and ${isOwn("pg_class", row)}`;
}

/** An object's name as PostgreSQL says it; among other things with the arguments of functions, and `on TABLE`. */
export function identity(catalog: string, oid: string): string {
  return `(pg_identify_object('${catalog}'::regclass, ${oid}, 0)).identity`;
}

/** The options of an object, sorted, without the internal column option `pg_attver`. */
export function options(array: string): string {
  return `(select string_agg(option, ', ' order by option) from unnest(${array}) option where option not like 'pg_attver=%')`;
}

/** An object that may be missing, by an alias type like regprocedure; null then. */
export function reference(column: string, type: string): string {
  return `nullif(${column}::oid, 0)::${type}`;
}
