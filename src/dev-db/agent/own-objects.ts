/**
 * All objects of a database become those of one role.
 *
 * Owns: which catalogs have owners that can be changed. Does not own: the role (`agent-role.ts`).
 * Invariant: no function is left that runs with a superuser's rights for whoever calls it, but those of extensions, and those that came with PostgreSQL.
 */
import { quoteLiteral } from "../../migrate/sql-quoting.ts";
import { isOwn } from "../schema/kind.ts";

/** A catalog, and the word of ALTER for what is in it; by default as PostgreSQL calls the object. */
const catalogs: readonly { readonly catalog: string; readonly word?: string; readonly only?: string }[] = [
  { catalog: "pg_namespace", only: "x.nspname !~ '^pg_(toast_)?temp_'" },
  {
    catalog: "pg_class",
    // An owned sequence follows its table.
    only: `x.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and x.relpersistence <> 't' and not exists (select from pg_depend
      where classid = 'pg_class'::regclass and objid = x.oid and deptype in ('a', 'i') and x.relkind = 'S')`,
  },
  { catalog: "pg_proc", word: "routine" },
  {
    catalog: "pg_type",
    only: `x.typtype <> 'm' and not exists (select from pg_type where typarray = x.oid)
      and (x.typrelid = 0 or exists (select from pg_class where oid = x.typrelid and relkind = 'c'))`,
  },
  { catalog: "pg_operator" },
  { catalog: "pg_opclass" },
  { catalog: "pg_opfamily" },
  { catalog: "pg_collation" },
  { catalog: "pg_conversion" },
  { catalog: "pg_ts_dict" },
  { catalog: "pg_ts_config" },
  { catalog: "pg_statistic_ext", word: "statistics" },
  { catalog: "pg_publication" },
  { catalog: "pg_foreign_server" },
];

const objects = catalogs.map(
  ({ catalog, word, only = "true" }) => `select format('%s %s', ${word ? `'${word}'` : "type"}, identity)
    from ${catalog} x, pg_identify_object('${catalog}'::regclass, x.oid, 0) where ${isOwn(catalog, "x")} and ${only}`,
);

/**
 * A query string that gives the database, to which it is sent, and all in it to a role. What only a superuser may own stays his: event triggers,
 * foreign data wrappers, publications of all tables. For a session without event triggers.
 */
export function giveAllTo(role: string): string {
  return `set search_path = ''; do $give$ declare object text; begin
    execute format('alter database %I owner to ${role}', current_database());
    for object in ${objects.join("\nunion all ")}
      union all select 'large object ' || oid from pg_largeobject_metadata
    loop
      begin
        execute 'alter ' || object || ' owner to ${role}';
      exception when insufficient_privilege or wrong_object_type or feature_not_supported or invalid_parameter_value then
        raise debug '% stays its owner''s: %', object, sqlerrm;
      end;
    end loop;
    if exists (select from pg_proc x where prosecdef and pg_get_userbyid(proowner) <> ${quoteLiteral(role)} and ${isOwn("pg_proc", "x")}) then
      raise exception 'a function with its owner''s rights could not be given to %', ${quoteLiteral(role)};
    end if;
  end $give$`;
}
