/**
 * A database of a server, brought to where it is used: migrations, setup, seed.
 *
 * Owns: that one process at a time does it, and that a setup or a seed gets no database that has something of somebody else's. Does not own: the
 * steps (`migrate/`, `../setup.ts`).
 * Invariant: what is found in a database is only ever changed by migrations, which their ledger knows, and by a setup or a seed where
 * everything in it has been made by this program.
 */
import { setTimeout as delay } from "node:timers/promises";
import { executeSql } from "../../engine/execute-sql.ts";
import { UsageError } from "../../errors.ts";
import { applyMigrations, claimForSeeds, type MigrationSource, type SqlEngine } from "../../migrate/index.ts";
import { type Log, nameOf, type OptionKey, type Progress, type ResolvedOptions } from "../../options.ts";
import type { ClientAddress } from "../address.ts";
import type { CleanupStack } from "../cleanup.ts";
import { runSetup, type SetupSteps } from "../setup.ts";
import { takeLock } from "./advisory-locks.ts";
import { withClient } from "./server-sql.ts";

/** What is to be done in a database, and what that needs. */
export interface Preparation {
  readonly options: ResolvedOptions;
  readonly migrations: readonly MigrationSource[];
  readonly setup: SetupSteps;
  readonly cleanup: CleanupStack;
  readonly cwd: string;
  readonly log: Log;
  readonly progress: Progress;
  /** Ends the wait for another process that prepares the same database. */
  readonly signal: AbortSignal;
}

/** Of the advisory lock of whoever prepares a database; any number, as long as it is always the same. */
const preparing = 7_461_130_021;

/** How long a session may take to end that is told to. */
const endingMs = 3_000;
const lookAgainMs = 20;

/**
 * Prepares a database that is there; `isOurs`: nobody else can have put anything into it. Resolves with the names of the migrations that
 * were applied now.
 */
export function prepareOnServer(
  address: ClientAddress,
  preparation: Preparation,
  isOurs: boolean,
): Promise<readonly string[]> {
  const { migrations, setup, cleanup, cwd, log, progress, signal } = preparation;
  // The lock is another connection's: a migration ends with DISCARD ALL, which would let go of it.
  return withClient(address, address.database, async (lock) => {
    await takeLock(lock, preparing, { signal, log, purpose: `prepare the database ${address.database}` });
    return withClient(address, address.database, async (sql) => {
      const [own] = await executeSql(sql, "SELECT pg_backend_pid()");
      let isAtWork = true;
      // A server does not see that a client is gone while a statement runs; the lock would be another's meanwhile.
      cleanup.defer(() => (isAtWork ? endSession(address, own!.rows[0]![0]!) : undefined));
      try {
        if (!isOurs) await requireOwn(sql, address, preparation);
        const { applied } = await applyMigrations(sql, migrations, log, progress);
        await runSetup(sql, setup, { reach: (_, use) => use(address), cleanup, cwd, log, progress });
        return applied;
      } finally {
        isAtWork = false;
      }
    });
  });
}

/** Ends a session with whatever it is at. Resolves when it has ended, or would not for a while. */
async function endSession(address: ClientAddress, pid: string): Promise<void> {
  await withClient(address, address.database, async (sql) => {
    for (let left = endingMs; left > 0; left -= lookAgainMs) {
      // Each time: it may have been about to begin the next statement.
      const [found] = await executeSql(
        sql,
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ${pid}`,
      );
      if (found!.rows.length === 0) return;
      await delay(lookAgainMs);
    }
  });
}

/** Where objects are that somebody makes and that can be there by themselves: what is a part of another one counts with that. */
const catalogs = [
  ..."pg_class pg_proc pg_type pg_namespace pg_operator pg_opfamily pg_opclass pg_collation pg_conversion".split(" "),
  ..."pg_ts_config pg_ts_dict pg_ts_parser pg_ts_template pg_cast pg_language pg_am pg_transform".split(" "),
  ..."pg_foreign_data_wrapper pg_foreign_server pg_event_trigger pg_publication".split(" "),
];

/** FirstNormalObjectId: what initdb makes has smaller ones. */
const firstOid = 16_384;

/** Anything that is neither initdb's nor an extension's. Large objects are known as those of pg_largeobject. */
const occupied = `SELECT made.type || ' ' || made.identity FROM (
  ${catalogs.map((name, rank) => `SELECT ${rank} AS rank, tableoid AS class, oid FROM ${name} WHERE oid >= ${firstOid}`).join("\n  UNION ALL ")}
  UNION ALL SELECT ${catalogs.length}, 'pg_largeobject'::regclass, oid FROM pg_largeobject_metadata
  ) AS object, pg_identify_object(object.class, object.oid, 0) AS made
  WHERE made.type NOT LIKE '%index' AND made.type <> 'toast table'
  AND coalesce(made.schema, '') !~ '^(pglite_devdb|pg_toast.*|pg_temp_.*)$'
  AND NOT (made.type = 'schema' AND made.name ~ '^(public|information_schema|pglite_devdb|"?pg_.*)$')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = object.class AND d.objid = object.oid AND d.deptype IN ('e', 'i'))
  ORDER BY rank, object.oid LIMIT 1`;

/** A database that is found empty is ours from here on; of one that is not, and has no mark of ours, a setup or seed is refused. */
async function requireOwn(
  sql: SqlEngine,
  { host, port, database }: ClientAddress,
  preparation: Preparation,
): Promise<void> {
  const { migrations, setup, options } = preparation;
  const wanted: OptionKey[] = [
    ...(setup.setup === undefined ? [] : ["setup" as const]),
    ...setup.seeds.slice(0, 1).map(() => "seed" as const),
  ];
  if (wanted.length === 0 && migrations.length === 0) return;
  const [claimed] = await executeSql(sql, "SELECT to_regclass('pglite_devdb.seeds')");
  if (claimed?.rows[0]?.[0]) return;
  const [found] = await executeSql(sql, occupied);
  const made = found?.rows[0]?.[0];
  if (made === undefined) return claimForSeeds(sql);
  if (wanted[0] === undefined) return;
  throw new UsageError(
    `${nameOf(options, wanted[0])}: the database ${database} at ${host}:${port} has what pglite-devdb has not made ` +
      `(${made} …), which a ${wanted[0]} might destroy; nothing was changed. Name a database of its own with --database, or leave the ${wanted[0]} out`,
  );
}
