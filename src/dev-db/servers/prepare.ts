/**
 * A database of a server, brought to where it is used: migrations, setup, seed.
 *
 * Owns: that one process at a time does it, and that a setup or a seed gets no database that has somebody else's tables. Does not own: the
 * steps (`migrate/`, `../setup.ts`).
 * Invariant: what is found in a database is only ever changed by migrations, which their ledger knows, and by a setup or a seed where
 * everything in it has been made by this program.
 */
import { executeSql } from "../../engine/execute-sql.ts";
import { UsageError } from "../../errors.ts";
import { applyMigrations, claimForSeeds, type MigrationSource, type SqlEngine } from "../../migrate/index.ts";
import { type Log, nameOf, type OptionKey, type ResolvedOptions } from "../../options.ts";
import type { ClientAddress } from "../address.ts";
import type { CleanupStack } from "../cleanup.ts";
import { runSetup, type SetupSteps } from "../setup.ts";
import { withClient } from "./server-sql.ts";

/** What is to be done in a database, and what that needs. */
export interface Preparation {
  readonly options: ResolvedOptions;
  readonly migrations: MigrationSource | undefined;
  readonly setup: SetupSteps;
  readonly cleanup: CleanupStack;
  readonly cwd: string;
  readonly log: Log;
}

/** Of the advisory lock of whoever prepares a database; any number, as long as it is always the same. */
const preparing = 7_461_130_021;

/**
 * Prepares a database that is there; `isOurs`: nobody else can have put anything into it. Resolves with the names of the migrations that
 * were applied now.
 */
export function prepareOnServer(
  address: ClientAddress,
  preparation: Preparation,
  isOurs: boolean,
): Promise<readonly string[]> {
  const { migrations, setup, cleanup, cwd, log } = preparation;
  // The lock is another connection's: a migration ends with DISCARD ALL, which would let go of it.
  return withClient(address, address.database, async (lock) => {
    await executeSql(lock, `SELECT pg_advisory_lock(${preparing})`);
    return withClient(address, address.database, async (sql) => {
      if (!isOurs) await requireOwn(sql, address, preparation);
      const migrated = migrations && (await applyMigrations(sql, migrations, log));
      await runSetup(sql, setup, { reach: (use) => use(address), cleanup, cwd, log });
      return migrated?.applied ?? [];
    });
  });
}

/** Tables and the like that belong to no extension. */
const occupied = `SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('information_schema', 'pglite_devdb') AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  ORDER BY 1 LIMIT 1`;

/** A database that is found empty is ours from here on; of one that is not, and has no mark of ours, a setup or seed is refused. */
async function requireOwn(
  sql: SqlEngine,
  { host, port, database }: ClientAddress,
  preparation: Preparation,
): Promise<void> {
  const { migrations, setup, options } = preparation;
  const wanted = (["setup", "seed"] as const satisfies OptionKey[]).filter((key) => setup[key] !== undefined);
  if (wanted.length === 0 && !migrations) return;
  const [claimed] = await executeSql(sql, "SELECT to_regclass('pglite_devdb.seeds')");
  if (claimed?.rows[0]?.[0]) return;
  const [found] = await executeSql(sql, occupied);
  const table = found?.rows[0]?.[0];
  if (table === undefined) return claimForSeeds(sql);
  if (wanted[0] === undefined) return;
  throw new UsageError(
    `${nameOf(options, wanted[0])}: the database ${database} at ${host}:${port} has tables that pglite-devdb has not made ` +
      `(${table} …), which a ${wanted[0]} might destroy; nothing was changed. Name a database of its own with --database, or leave the ${wanted[0]} out`,
  );
}
