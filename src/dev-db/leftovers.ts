/**
 * What a kill has left of copies of databases in a directory.
 *
 * Owns: finding it and taking it away. Does not own: what makes copies (`../thread/directory-states.ts`, `../thread/database-branches.ts`).
 * Invariant: while nobody else makes or drops databases. What PostgreSQL knows stays, but for copies that were being made or dropped.
 */
import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../engine/engine.ts";
import { executeSql } from "../engine/execute-sql.ts";
import { leftoverPatterns } from "../engine/snapshots.ts";
import { quoteIdentifier, quoteLiteral } from "../migrate/sql-quoting.ts";
import type { Log } from "../options.ts";

/** `FirstNormalObjectId` (access/transam.h): databases with smaller numbers are PostgreSQL's own. */
const firstNormalObjectId = 16_384;

/** Takes it away, behind a recovery. */
export async function collectLeftovers(engine: Engine, directory: string, log: Log): Promise<void> {
  const base = join(directory, "base");
  const made = readdirSync(base).filter((name) => /^\d+$/.test(name) && Number(name) >= firstNormalObjectId);
  // What has no databases but those of the beginning has no copies of them; those of a tablespace are in there.
  if (made.length === 0 && readdirSync(join(directory, "pg_tblspc")).length === 0) return;
  const { name, halfDropped } = leftoverPatterns;
  const isLeft = `datname ~ ${quoteLiteral(name)} or datconnlimit = -2 and datname ~ ${quoteLiteral(halfDropped)}`;
  const [all] = await executeSql(engine, `select oid, datname, ${isLeft} from pg_database`);
  const known = new Set<string | null>();
  for (const [oid, database, isLeftover] of all!.rows) {
    known.add(oid!);
    if (isLeftover !== "t") continue;
    log("debug", `dropping what is left of a copy: ${database}`);
    await executeSql(engine, `drop database ${quoteIdentifier(database!)} with (force)`).catch(({ message }: Error) =>
      log("info", `warning: what is left of a copy stays, the database ${database}: ${message}`),
    );
  }
  assert(known.size > 0, "pg_database has been read: what it does not know is removed");
  // As PostgreSQL leaves the files of a CREATE DATABASE that was killed.
  for (const oid of made) {
    if (known.has(oid)) continue;
    log("debug", `removing the files of a database that was not made: ${join(base, oid)}`);
    rmSync(join(base, oid), { recursive: true, force: true });
  }
}
