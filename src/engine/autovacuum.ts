/**
 * Which tables need a VACUUM or an ANALYZE, as PostgreSQL's autovacuum has it.
 *
 * Owns: the questions to PostgreSQL, and what follows from the answers. Does not own: when it is asked, and running what is needed
 * (`../thread/autovacuum.ts`, `../thread/autovacuum-look.ts`). Pure.
 * Mirrors postmaster/autovacuum.c: relation_needs_vacanalyze, table_recheck_autovac, extract_autovac_opts.
 */
type Row = readonly (string | null)[];

/** The settings that decide, all of which a configuration file sets for everybody. */
const settingNames = [
  "autovacuum",
  "track_counts",
  "autovacuum_vacuum_threshold",
  "autovacuum_vacuum_max_threshold",
  "autovacuum_vacuum_scale_factor",
  "autovacuum_vacuum_insert_threshold",
  "autovacuum_vacuum_insert_scale_factor",
  "autovacuum_analyze_threshold",
  "autovacuum_analyze_scale_factor",
  "autovacuum_freeze_max_age",
  "autovacuum_multixact_freeze_max_age",
] as const;

type SettingName = (typeof settingNames)[number];

/** Answered with a row for each setting, in the setting's own unit. */
export const settingsQuery = `select name, setting from pg_settings where name in (${settingNames.map((name) => `'${name}'`).join()})`;

/** By their names. */
export type AutovacuumSettings = Readonly<Record<SettingName, string>>;

/** Reads the answer to `settingsQuery`. */
export function readSettings(rows: readonly Row[]): AutovacuumSettings {
  return Object.fromEntries(rows) as AutovacuumSettings;
}

/** Whether anything is to be done at all. */
export function isActive({ autovacuum, track_counts }: AutovacuumSettings): boolean {
  return autovacuum === "on" && track_counts === "on";
}

/**
 * Answered with the databases that clients use: each with what changes when it is written to, and its ages. Not those to which nobody can connect, among which
 * are the copies that are kept for resets and snapshots, and no templates: what is made of them is to be the same each time.
 */
export const databasesQuery = `select oid, datname,
  pg_stat_get_db_tuples_inserted(oid) || ' ' || pg_stat_get_db_tuples_updated(oid) || ' ' || pg_stat_get_db_tuples_deleted(oid),
  age(datfrozenxid), mxid_age(datminmxid)
  from pg_database
  where datallowconn and not datistemplate and datconnlimit <> -2 and datname !~ '~snapshot[:!]' order by oid`;

/** A database that may need something. */
export interface AutovacuumDatabase {
  readonly oid: string;
  readonly name: string;
  /** Differs when it was written to. */
  readonly writes: string;
  /** Whether its oldest rows are so old that they are frozen, written to or not. */
  readonly isOld: boolean;
}

/** Reads the answer to `databasesQuery`. */
export function readDatabases(rows: readonly Row[], settings: AutovacuumSettings): AutovacuumDatabase[] {
  return rows.map(([oid, name, writes, age, multixactAge]) => ({
    oid: oid!,
    name: name!,
    writes: writes!,
    isOld:
      Number(age) > Number(settings.autovacuum_freeze_max_age) ||
      Number(multixactAge) > Number(settings.autovacuum_multixact_freeze_max_age),
  }));
}

/** pg_statistic, which ANALYZE refuses. */
const statistics = "2619";

/** Answered with a database's tables, and what is counted of them. A TOAST table has its own options or, if it has none, those of its table. */
export const tablesQuery = `select c.oid, quote_ident(nspname) || '.' || quote_ident(c.relname), c.relkind,
  array_to_string(coalesce(c.reloptions, owner.reloptions), ' '),
  c.relpages, c.relallfrozen, c.reltuples,
  case when c.relfrozenxid = '0' then 0 else age(c.relfrozenxid) end,
  case when c.relminmxid = '0' then 0 else mxid_age(c.relminmxid) end,
  pg_stat_get_dead_tuples(c.oid), pg_stat_get_ins_since_vacuum(c.oid), pg_stat_get_mod_since_analyze(c.oid)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  left join pg_class owner on c.relkind = 't' and owner.reltoastrelid = c.oid
  where c.relkind in ('r', 'm', 't') and c.relpersistence <> 't'
  order by c.relkind = 't', c.oid`;

/** What a table needs. */
export interface Need {
  /** Its name with that of its schema, as SQL. */
  readonly table: string;
  readonly statement: string;
  readonly isVacuum: boolean;
  /** Settings that it is run with. */
  readonly settings: Readonly<Record<string, number>>;
}

/** What the rows that answer `tablesQuery` say is needed, in their order. */
export function needs(rows: readonly Row[], settings: AutovacuumSettings): Need[] {
  return rows.flatMap((row): Need[] => {
    const [oid, table, kind, optionsText] = row as readonly [string, string, string, string | null];
    const options = readOptions(optionsText ?? "");
    const { vacuums, analyzes } = decide(row.slice(4).map(Number), options, settings);
    const analyzesIt = analyzes && kind !== "t" && oid !== statistics;
    if (!vacuums && !analyzesIt) return [];
    if (!vacuums) return [{ table, statement: `analyze (skip_locked) ${table}`, isVacuum: false, settings: {} }];
    const how = `skip_locked, process_toast false, skip_database_stats${analyzesIt ? ", analyze" : ""}`;
    return [{ table, statement: `vacuum (${how}) ${table}`, isVacuum: true, settings: freezeAges(options) }];
  });
}

/** What a database in which something was vacuumed needs at last. */
export const databaseStatement = "vacuum (only_database_stats)";

/** Storage parameters by their names, without `autovacuum_`. */
type Options = ReadonlyMap<string, string>;

function readOptions(text: string): Options {
  const found = text.matchAll(/(?:^| )autovacuum_(\w+)=(\S*)/g);
  return new Map([...found].map(([, name, value]) => [name!, value!]));
}

/** `counted`: the columns of `tablesQuery` from relpages on. */
function decide(
  counted: readonly number[],
  options: Options,
  settings: AutovacuumSettings,
): { vacuums: boolean; analyzes: boolean } {
  const [pages = 0, allFrozen = 0, reltuples = 0, age = 0, multixactAge = 0, dead = 0, inserted = 0, modified = 0] =
    counted;
  // A value that the option may not have stands for the setting: -1, or -2 where -1 says never.
  const value = (option: string, setting: SettingName, least = 0): number => {
    const own = Number(options.get(option) ?? Number.NaN);
    return own >= least ? own : Number(settings[setting]);
  };
  const oldest = (option: string, setting: SettingName): number =>
    Math.min(value(option, setting), Number(settings[setting]));
  const isOld =
    age > oldest("freeze_max_age", "autovacuum_freeze_max_age") ||
    multixactAge > oldest("multixact_freeze_max_age", "autovacuum_multixact_freeze_max_age");
  if (isSwitchedOff(options)) return { vacuums: isOld, analyzes: false };

  // -1: nobody has ever looked.
  const tuples = Math.max(reltuples, 0);
  const unfrozen = pages > 0 ? 1 - Math.min(allFrozen, pages) / pages : 1;
  const most = value("vacuum_max_threshold", "autovacuum_vacuum_max_threshold", -1);
  const mayBeDead =
    value("vacuum_threshold", "autovacuum_vacuum_threshold") +
    value("vacuum_scale_factor", "autovacuum_vacuum_scale_factor") * tuples;
  const insertBase = value("vacuum_insert_threshold", "autovacuum_vacuum_insert_threshold", -1);
  const mayBeInserted =
    insertBase + value("vacuum_insert_scale_factor", "autovacuum_vacuum_insert_scale_factor") * tuples * unfrozen;
  const mayBeModified =
    value("analyze_threshold", "autovacuum_analyze_threshold") +
    value("analyze_scale_factor", "autovacuum_analyze_scale_factor") * tuples;
  return {
    vacuums:
      isOld ||
      dead > (most >= 0 ? Math.min(mayBeDead, most) : mayBeDead) ||
      (insertBase >= 0 && inserted > mayBeInserted),
    analyzes: modified > mayBeModified,
  };
}

/** As parse_bool (utils/adt/bool.c) reads `autovacuum_enabled`. */
function isSwitchedOff(options: Options): boolean {
  return /^(f|fa|fal|fals|false|n|no|of|off|0)$/i.test(options.get("enabled") ?? "on");
}

/** The ages that are a table's own are settings for a VACUUM that is not autovacuum's. */
function freezeAges(options: Options): Record<string, number> {
  const names = ["freeze_min_age", "freeze_table_age", "multixact_freeze_min_age", "multixact_freeze_table_age"];
  const own = names.map((name) => [`vacuum_${name}`, Number(options.get(name) ?? -1)] as const);
  return Object.fromEntries(own.filter(([, age]) => age >= 0));
}
