/**
 * Replaces a database with a copy, in one transaction.
 *
 * Owns: the renames, the catalog rows that CREATE DATABASE leaves out, and the database's clients.
 * Invariant: at any moment each name has a complete database, old or new.
 */
import { quoteIdentifier, quoteLiteral } from "../migrate/sql-quoting.ts";
import type { SessionHost } from "../sessions/host.ts";
import type { IsolatedQueue } from "../transport/isolated-queue.ts";
import { copyAccess, oidOf } from "./branch-access.ts";
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
 * Replaces a database that clients use. An idle client keeps its connection and gets a session in the copy; other clients are ended.
 * `refuse` is called at that moment. If it throws, the copy is dropped and nothing else changes.
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

/** Renames the copy to the database's name, gives it the catalog rows of `factsOf`, and renames the old database away. */
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
  // The swap is done. The next swap or the next start drops what cannot be dropped now.
  await dropDatabase(run, old).catch(() => undefined);
}

/** Copies catalog rows, which depend on nothing but roles. The copy already has the right owner. */
function copyFacts(from: string, to: string): string {
  const [source, target] = [oidOf(from), oidOf(to)];
  const comment = "classoid = 'pg_database'::regclass";
  return `
    delete from pg_db_role_setting where setdatabase = ${target};
    insert into pg_db_role_setting select ${target}, setrole, setconfig from pg_db_role_setting where setdatabase = ${source};
    delete from pg_shdescription where ${comment} and objoid = ${target};
    insert into pg_shdescription select ${target}, classoid, description
      from pg_shdescription where ${comment} and objoid = ${source};
    ${copyAccess(from, to)}`;
}

/** Whether a complete database of this name exists. */
export async function isThere(run: Run, database: string): Promise<boolean> {
  const rows = await run(`select from pg_database where datname = ${quoteLiteral(database)} and datconnlimit <> -2`);
  return rows.length > 0;
}

/** Drops a database, if it exists, and ends its clients. */
export async function dropDatabase(run: Run, database: string): Promise<void> {
  await run(`drop database if exists ${quoteIdentifier(database)} with (force)`);
}
