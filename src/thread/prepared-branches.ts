/**
 * Branches that are prepared while nobody wants anything, so that one that is asked for has only to be named.
 *
 * Owns: which are prepared, and making one of them the branch that is asked for. Does not own: when that may be done (`database-branches.ts`), what
 * the files are in that moment (`sessions/database-copies.ts`).
 * Invariant: what is prepared is a database that nobody has ever connected to or altered, and of no consequence: it belongs to the bootstrap superuser, depends on no
 * role, and lies in the default tablespace. It need not be as its source is: in the turn in which it becomes a branch its files are made what a copy
 * would be, and all that CREATE DATABASE takes over is taken from the catalogs by one statement. So no change of the source has to be noticed.
 */
import { preparedDatabase } from "../engine/branches.ts";
import { limits } from "../limits.ts";
import { quoteIdentifier, quoteLiteral } from "../migrate/sql-quoting.ts";
import { namedInPrivileges } from "./branch-access.ts";
import type { OwnSession } from "./own-session.ts";

/** `OwnSession.ask`. */
export type Run = OwnSession["ask"];

/** Has the files of a database be those of another one: `DatabaseCopies.refresh`; both by their OIDs. */
type Refresh = (source: number, copy: number) => boolean;

/** A database. */
interface Prepared {
  readonly oid: number;
  readonly database: string;
  /** The transaction that has made its row in `pg_database`: another one when somebody has altered it. */
  readonly made: string;
}

/** What branches have been made of, and those that are ready. */
interface Source {
  readonly oid: number;
  readonly name: string;
  readonly ready: Prepared[];
}

/** See the head of the file. */
export class PreparedBranches {
  /** By OID; the one of which a branch was made last is the last one. */
  readonly #sources = new Map<number, Source>();
  /** The names of databases that nobody will want. */
  #unwanted: string[] = [];
  #number = 0;
  #mayBeGone = false;
  #hasFailed = false;

  get isEmpty(): boolean {
    return this.#unwanted.length === 0 && [...this.#sources.values()].every(({ ready }) => ready.length === 0);
  }

  /** A branch has been made of a database: more may be wanted. Those of others that have not been for longer give up theirs. */
  wanted(oid: number, name: string): void {
    this.#hasFailed = false;
    const before = this.#sources.get(oid);
    this.#sources.delete(oid);
    if (before && before.name !== name) this.#giveUp(before);
    this.#sources.set(oid, before?.name === name ? before : { oid, name, ready: [] });
    const most = limits.prepared / limits.preparedOfOne;
    for (const [first, source] of this.#sources) {
      if (this.#sources.size <= most) break;
      this.#sources.delete(first);
      this.#giveUp(source);
    }
  }

  /** A database is going to be dropped, or has been. */
  notWanted(name: string): void {
    for (const [oid, source] of this.#sources) {
      if (source.name !== name) continue;
      this.#sources.delete(oid);
      this.#giveUp(source);
    }
  }

  /** They have what their sources had once: the memory is needed. */
  giveUpAll(): void {
    for (const source of this.#sources.values()) this.#giveUp(source);
    this.#sources.clear();
  }

  /** Makes a prepared one the branch, if it can; whoever asks makes a copy otherwise. */
  async take(run: Run, source: string, database: string, refresh: Refresh): Promise<boolean> {
    const found = [...this.#sources.values()].find(({ name, ready }) => name === source && ready.length > 0);
    const prepared = found?.ready.shift();
    if (!found || !prepared) return false;
    try {
      const rows = await run(becomes(found, prepared, database), () => refresh(found.oid, prepared.oid));
      if (rows.length > 0) {
        this.wanted(found.oid, found.name);
        return true;
      }
    } catch {
      // Its name is taken, or it is not there any more: what is wrong is said of the copy.
    }
    this.#unwanted.push(prepared.database);
    return false;
  }

  /** A database may be going. */
  mayBeGone(): void {
    this.#mayBeGone = true;
  }

  /** Whether there is something to be done while nobody wants anything. */
  get isDue(): boolean {
    const { size } = this.#sources;
    if (this.#hasFailed) return false;
    return this.#unwanted.length > 0 || this.#lacking() !== undefined || (this.#mayBeGone && size > 0);
  }

  /** Does one thing of that: drops one, or prepares one. */
  async step(run: Run, refresh: Refresh): Promise<void> {
    await this.#findGone(run);
    const [unwanted] = this.#unwanted;
    if (unwanted !== undefined) return this.#drop(run, unwanted);
    const source = this.#lacking();
    if (!source) return;
    const database = preparedDatabase(source.name, ++this.#number);
    // One of that name is somebody's.
    if (database === undefined || (await isThere(run, database))) return this.notWanted(source.name);
    await create(run, database);
    // Until all is known of it; it would stay for good if that cannot be read.
    this.#unwanted.push(database);
    const prepared = await read(run, database);
    if (!prepared || this.#sources.get(source.oid) !== source) return;
    this.#unwanted = this.#unwanted.filter((name) => name !== database);
    source.ready.push(prepared);
    // Most of what it will be; where that cannot be now there is more to do later.
    await run("select 1", () => refresh(source.oid, prepared.oid));
  }

  /** Drops all that are prepared. */
  async drop(run: Run): Promise<void> {
    for (const source of this.#sources.values()) this.#giveUp(source);
    for (const database of [...this.#unwanted]) await this.#drop(run, database);
  }

  async #drop(run: Run, database: string): Promise<void> {
    await run(`drop database if exists ${quoteIdentifier(database)}`);
    this.#unwanted = this.#unwanted.filter((name) => name !== database);
  }

  /** A step could not be done: it is tried again when the next branch has been made. */
  failed(): void {
    this.#hasFailed = true;
  }

  /** They are gone, and so may be their sources. */
  forget(): void {
    this.#sources.clear();
    this.#unwanted = [];
  }

  /** Those whose source has been dropped, or has another name, are not wanted; and somebody may have dropped them. */
  async #findGone(run: Run): Promise<void> {
    this.#mayBeGone = false;
    const sources = [...this.#sources.values()];
    const oids = sources.flatMap(({ oid, ready }) => [oid, ...ready.map((prepared) => prepared.oid)]);
    if (oids.length === 0) return;
    const there = await run(
      `select oid, datname from pg_database where oid in (${oids.join()}) and datconnlimit <> -2`,
    );
    const names = new Map(there.map(([oid, name]) => [Number(oid), name]));
    for (const { oid, name, ready } of sources) {
      if (names.get(oid) !== name) this.notWanted(name);
      // Somebody has dropped it.
      for (const gone of ready.filter((prepared) => !names.has(prepared.oid))) ready.splice(ready.indexOf(gone), 1);
    }
  }

  #lacking(): Source | undefined {
    return [...this.#sources.values()].findLast(({ ready }) => ready.length < limits.preparedOfOne);
  }

  #giveUp(source: Source): void {
    this.#unwanted.push(...source.ready.splice(0).map(({ database }) => database));
  }
}

async function isThere(run: Run, database: string): Promise<boolean> {
  return (await run(`select from pg_database where datname = ${quoteLiteral(database)}`)).length > 0;
}

async function create(run: Run, database: string): Promise<void> {
  // Of a database in which nobody ever is: the files become those of the source.
  const how = "template template0 tablespace pg_default strategy file_copy allow_connections false";
  await run(`create database ${quoteIdentifier(database)} ${how}`);
}

/** Undefined where it is not there any more. */
async function read(run: Run, database: string): Promise<Prepared | undefined> {
  const [row] = await run(`select oid, xmin from pg_database where datname = ${quoteLiteral(database)}`);
  return row && { oid: Number(row[0]), database, made: row[1]! };
}

/** What CREATE DATABASE takes over from its template (`createdb`, commands/dbcommands.c), and who may connect. Nobody has read it in what is prepared. */
const takenOver = [
  ...["datdba", "encoding", "datlocprovider", "datcollate", "datctype", "datlocale", "daticurules", "datcollversion"],
  ...["datallowconn", "datconnlimit", "datacl", "dathasloginevt", "datfrozenxid", "datminmxid"],
];

/** The OIDs of pg_default and pg_global. */
const ownTablespaces = "1663, 1664";
/** Owners below it are pinned: nothing is noted of what belongs to them (access/transam.h, FirstUnpinnedObjectId). */
const firstUnpinned = 12_000;

/** Nobody has said anything of it that is not in its row: COMMENT, SECURITY LABEL, ALTER DATABASE … SET. */
const untouched = `shobj_description(d.oid, 'pg_database') is null
        and not exists (select from pg_shseclabel where objoid = d.oid and classoid = 'pg_database'::regclass)
        and not exists (select from pg_db_role_setting where setdatabase = d.oid)`;

/**
 * One statement that makes what is prepared the branch of its source, and what CREATE DATABASE and `database-branches.ts` do beside that. It does nothing where a
 * copy is to be made: because of a tablespace, or since the copy is refused.
 */
function becomes(source: Source, { oid, made }: Prepared, database: string): string {
  return `
    with source as (
      select * from pg_database
      where oid = ${source.oid} and datname = ${quoteLiteral(source.name)} and datconnlimit <> -2 and datallowconn
        and dattablespace = 1663
        and not exists (select from pg_prepared_xact() x where x.dbid = pg_database.oid)
        and not exists (select from pg_tablespace t where t.oid not in (${ownTablespaces})
          and pg_database.oid in (select pg_tablespace_databases(t.oid)))
    ), branch as (
      update pg_database d
      set datname = ${quoteLiteral(database)}, ${takenOver.map((name) => `${name} = s.${name}`).join()}
      from source s where d.oid = ${oid} and d.xmin = '${made}' and ${untouched} returning d.oid, d.datdba, s.oid as source
    ), owner as (
      insert into pg_shdepend select 0, 'pg_database'::regclass, oid, 0, 'pg_authid'::regclass, datdba, 'o'
      from branch where datdba >= ${firstUnpinned}
    ), access as (
      insert into pg_shdepend select dbid, classid, b.oid, objsubid, refclassid, refobjid, deptype
      from branch b join pg_shdepend on ${namedInPrivileges} and objid = b.source
    ), objects as (
      insert into pg_shdepend select b.oid, classid, objid, objsubid, refclassid, refobjid, deptype
      from branch b join pg_shdepend on dbid = source
    ), settings as (
      insert into pg_db_role_setting select b.oid, setrole, setconfig
      from branch b join pg_db_role_setting on setdatabase = source
    )
    select from branch`;
}
