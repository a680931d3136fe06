/**
 * Puts a copy in the place of a database, in one transaction.
 *
 * Owns: the renames, the facts that CREATE DATABASE leaves out, and what becomes of the database's clients.
 * Invariant: at any moment each name has a whole database, the old one or the new one.
 */
import { quoteIdentifier, quoteLiteral } from "../migrate/sql-quoting.ts";
import type { SessionHost } from "../sessions/host.ts";
import type { IsolatedQueue } from "../transport/isolated-queue.ts";
import { copyAccess } from "./branch-access.ts";
import type { Run } from "./prepared-branches.ts";

/** A copy, and the database that it replaces. */
interface Copied {
  /** The copy's own name, until it is renamed. */
  readonly made: string;
  readonly name: string;
  /** The replaced database has this name until it is dropped. */
  readonly old: string;
  readonly factsOf: string;
  /** Whether clients connect to it. */
  readonly isUsed: boolean;
}

/**
 * Replaces a database that clients use. An idle client keeps its connection and gets a session in the copy; the others are ended.
 * `refuse` is called at that moment and may throw: then nothing happens but that the copy is dropped.
 */
export async function replaceDatabase(
  host: SessionHost,
  queues: readonly IsolatedQueue[],
  run: Run,
  copied: Omit<Copied, "isUsed">,
  refuse: () => void = () => undefined,
): Promise<void> {
  let ended: Promise<unknown> = Promise.resolve();
  const letGo = () => {
    refuse();
    const clients = queues.map((queue) => queue.letGoOf(copied.name));
    ended = Promise.all(clients.map((each) => each.ended));
    return clients.flatMap(({ idle }) => idle);
  };
  const swap = async () => {
    await ended;
    await takePlace(run, { ...copied, isUsed: true });
  };
  try {
    await host.without(letGo, swap);
  } catch (error) {
    await dropDatabase(run, copied.made);
    throw error;
  } finally {
    await Promise.all(queues.map((queue) => queue.comeBack()));
  }
}

/** What is made gets its name, and the facts about a database that are not in it, those of `factsOf`. What had that name goes. */
export async function takePlace(run: Run, { made, name, old, factsOf, isUsed }: Copied): Promise<void> {
  await dropDatabase(run, old);
  const replaces = await isThere(run, name);
  const rename = (from: string, to: string) =>
    `alter database ${quoteIdentifier(from)} rename to ${quoteIdentifier(to)};`;
  // One query string is one transaction.
  await run(
    [
      copyFacts(factsOf, made),
      ...(replaces ? [`alter database ${quoteIdentifier(name)} is_template false;`, rename(name, old)] : []),
      rename(made, name),
      ...(isUsed ? [`alter database ${quoteIdentifier(name)} allow_connections true;`] : []),
    ].join("\n"),
  );
  // It is done: what cannot be dropped now is dropped by the next one, or at the next start.
  await dropDatabase(run, old).catch(() => undefined);
}

/** The owner is that of the copy already. What it is said in these catalogs depends on nothing but roles. */
function copyFacts(from: string, to: string): string {
  const oid = (name: string) => `(select oid from pg_database where datname = ${quoteLiteral(name)})`;
  const [source, target] = [oid(from), oid(to)];
  const comment = "classoid = 'pg_database'::regclass";
  return `
    delete from pg_db_role_setting where setdatabase = ${target};
    insert into pg_db_role_setting select ${target}, setrole, setconfig from pg_db_role_setting where setdatabase = ${source};
    delete from pg_shdescription where ${comment} and objoid = ${target};
    insert into pg_shdescription select ${target}, classoid, description
      from pg_shdescription where ${comment} and objoid = ${source};
    ${copyAccess(from, to)}`;
}

/** Whether there is a database, as a whole. */
export async function isThere(run: Run, database: string): Promise<boolean> {
  const rows = await run(`select from pg_database where datname = ${quoteLiteral(database)} and datconnlimit <> -2`);
  return rows.length > 0;
}

/** Drops a database, if it exists, and ends its clients. */
export async function dropDatabase(run: Run, database: string): Promise<void> {
  await run(`drop database if exists ${quoteIdentifier(database)} with (force)`);
}
