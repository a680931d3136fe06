/**
 * What is in a database: its objects as text, and how many rows its tables have.
 *
 * Owns: the transaction in which that is read, and the counting. Does not own: what is asked of the catalogs (`relations.ts`, `others.ts`,
 * `attached.ts`).
 * Invariant: all is of one moment; and two databases that are the same give the same text, whatever is set for clients.
 */
import { executeSql } from "../../engine/execute-sql.ts";
import { ServerClient } from "../server-client.ts";
import { attachedKinds } from "./attached.ts";
import { isOwnRelation, type Kind } from "./kind.ts";
import { otherKinds } from "./others.ts";
import { relationKinds } from "./relations.ts";

/** All kinds, in the order in which they are shown. */
export const kinds: readonly Kind[] = [...relationKinds, ...otherKinds, ...attachedKinds];

/** What was read of a database. */
export interface Contents {
  /** The definitions of the objects of each kind, by their names. */
  readonly objects: ReadonlyMap<Kind, ReadonlyMap<string, string>>;
  /** The rows of each table; null where this user may not count them. */
  readonly rows: ReadonlyMap<string, number | null>;
}

/** Settings that change how PostgreSQL writes a definition, or whether it answers. A lock that lasts is an error that says so. */
const begin = `begin isolation level repeatable read read only; set local search_path = ''; set local quote_all_identifiers = off;
  set local datestyle = 'ISO, YMD'; set local intervalstyle = 'postgres'; set local timezone = 'UTC'; set local extra_float_digits = 1;
  set local bytea_output = 'hex'; set local xmloption = 'content'; set local statement_timeout = 0; set local lock_timeout = '10s'`;

/** How many tables are counted by one statement. */
const tablesAtATime = 50;

/** Reads a database, and counts its rows where `counts` is true. Rejects with the server's error. */
export async function readContents(
  url: string,
  parameters: Readonly<Record<string, string>>,
  counts = true,
): Promise<Contents> {
  const client = await ServerClient.connect(url, { parameters });
  try {
    await executeSql(client, begin);
    const objects = new Map<Kind, ReadonlyMap<string, string>>();
    for (const kind of kinds) objects.set(kind, await readKind(client, kind));
    return { objects, rows: counts ? await countRows(client) : new Map() };
  } finally {
    client.close();
  }
}

type Rows = readonly (readonly (string | null)[])[];

async function ask(client: ServerClient, sql: string): Promise<Rows> {
  return (await executeSql(client, sql)).at(-1)!.rows;
}

async function readKind(client: ServerClient, { sql }: Kind): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  // What is dropped meanwhile has no name any more: the catalogs' functions see it before this transaction's snapshot does.
  for (const [name, definition] of await ask(client, sql))
    if (name !== null) found.set(name!, (definition ?? "").trim());
  return found;
}

async function countRows(client: ServerClient): Promise<Map<string, number | null>> {
  const tables = await ask(
    client,
    `select c.oid::regclass::text, relispopulated and has_schema_privilege(relnamespace, 'usage') and has_table_privilege(c.oid, 'select')
      and not row_security_active(c.oid) from pg_class c where relkind in ('r', 'm') and ${isOwnRelation("c")} order by 1`,
  );
  const rows = new Map<string, number | null>(tables.map(([table]) => [table!, null]));
  const countable = tables.filter(([, may]) => may === "t").map(([table]) => table!);
  for (let at = 0; at < countable.length; at += tablesAtATime) {
    const some = countable.slice(at, at + tablesAtATime);
    const counts = some.map((table, i) => `select ${i}, count(*) from only ${table}`);
    // The locks go with the savepoint: those of all tables would be more than the server has place for.
    await executeSql(client, "savepoint counting");
    for (const [i, count] of await ask(client, counts.join(" union all "))) rows.set(some[Number(i)]!, Number(count));
    await executeSql(client, "rollback to counting; release counting");
  }
  const [large] = await ask(client, "select count(*) from pg_largeobject_metadata");
  if (large?.[0] !== "0") rows.set("large objects", Number(large?.[0]));
  return rows;
}
