/**
 * What objects of all kinds have: an owner, grants, a comment, security labels. One query each, over all catalogs that have it.
 *
 * Owns: which objects those are. Does not own: the objects (`relations.ts`, `others.ts`).
 * Invariant: grants that are the default of their object are none, whether they are written down or not.
 */
import { firstOwn, isOwn, isOwnRelation, type Kind } from "./kind.ts";

const identified = (address: string) => `(select type || ' ' || identity from pg_identify_object(${address}))`;
/** The row of a catalog is the object that is connected to. */
const isHere = "datname = current_database()";

/** A catalog's prefix, and its name. */
const owned: readonly (readonly [column: string, catalog: string])[] = [
  ["nspowner", "pg_namespace"],
  ["proowner", "pg_proc"],
  ["oprowner", "pg_operator"],
  ["opcowner", "pg_opclass"],
  ["opfowner", "pg_opfamily"],
  ["collowner", "pg_collation"],
  ["conowner", "pg_conversion"],
  ["lanowner", "pg_language"],
  ["dictowner", "pg_ts_dict"],
  ["cfgowner", "pg_ts_config"],
  ["stxowner", "pg_statistic_ext"],
  ["evtowner", "pg_event_trigger"],
  ["pubowner", "pg_publication"],
  ["fdwowner", "pg_foreign_data_wrapper"],
  ["srvowner", "pg_foreign_server"],
  ["extowner", "pg_extension"],
];

const owners = [
  ...owned.map(
    ([
      column,
      catalog,
    ]) => `select ${identified(`'${catalog}'::regclass, x.oid, 0`)}, quote_ident(pg_get_userbyid(${column}))
      from ${catalog} x where ${isOwn(catalog, "x")}${catalog === "pg_namespace" ? " or nspname = 'public'" : ""}`,
  ),
  `select ${identified("'pg_class'::regclass, c.oid, 0")}, quote_ident(pg_get_userbyid(relowner))
    from pg_class c where relkind in ('r', 'p', 'v', 'm', 'S', 'f') and ${isOwnRelation("c")}`,
  `select ${identified("'pg_type'::regclass, t.oid, 0")}, quote_ident(pg_get_userbyid(typowner))
    from pg_type t where ${isOwn("pg_type", "t")} and typtype <> 'm' and not exists (select from pg_type where typarray = t.oid)
      and (typrelid = 0 or exists (select from pg_class where oid = typrelid and relkind = 'c'))`,
  `select 'database itself', quote_ident(pg_get_userbyid(datdba)) from pg_database where ${isHere}`,
].join("\nunion all\n");

/** Who may do what; a grantor that is not the owner is named. Who the owner is, is told once. */
const explained = (acl: string, owner: string) => `coalesce((select string_agg(line, '; ' order by line) from (
    select case grantee when 0 then 'public' when ${owner} then '(owner)' else quote_ident(pg_get_userbyid(grantee)) end || ': '
      || string_agg(privilege_type || case when is_grantable then ' with grant option' else '' end, ', ' order by privilege_type)
      || case grantor when ${owner} then '' else ' by ' || quote_ident(pg_get_userbyid(grantor)) end as line
    from aclexplode(${acl}) group by grantee, grantor) lines), 'nobody')`;

/** Everything with privileges that are written down: the class, the object, its column, the privileges, the letter of acldefault, the owner. */
const privileges = `
  select 'pg_class'::regclass as classid, oid as objid, 0 as subid, relacl as acl, case relkind when 'S' then 's' else 'r' end::"char" as letter, relowner as owner
    from pg_class where relpersistence <> 't'
  union all select 'pg_class'::regclass, attrelid, attnum, attacl, 'c', relowner from pg_attribute join pg_class c on c.oid = attrelid where relpersistence <> 't'
  union all select 'pg_proc'::regclass, oid, 0, proacl, 'f', proowner from pg_proc
  union all select 'pg_language'::regclass, oid, 0, lanacl, 'l', lanowner from pg_language
  union all select 'pg_namespace'::regclass, oid, 0, nspacl, 'n', nspowner from pg_namespace where nspname !~ '^pg_(toast_)?temp_'
  union all select 'pg_type'::regclass, oid, 0, typacl, 'T', typowner from pg_type
  union all select 'pg_foreign_data_wrapper'::regclass, oid, 0, fdwacl, 'F', fdwowner from pg_foreign_data_wrapper
  union all select 'pg_foreign_server'::regclass, oid, 0, srvacl, 'S', srvowner from pg_foreign_server`;

const isSame = (one: string, other: string) => `coalesce(${one} @> ${other} and ${one} <@ ${other}, false)`;

const grants = `select ${identified("p.classid, p.objid, p.subid")}, ${explained("acl", "p.owner")}
  from (${privileges}) p left join pg_init_privs i on i.classoid = p.classid and i.objoid = p.objid and i.objsubid = p.subid
  where acl is not null and not ${isSame("acl", "acldefault(letter, owner)")} and not ${isSame("acl", "initprivs")}
  union all select 'database itself', ${explained("datacl", "datdba")} from pg_database
  where ${isHere} and datacl is not null and not ${isSame("datacl", "acldefault('d', datdba)")}`;

/** Of nothing that belongs to an extension; large objects are rows. */
const isDescribed = `(objoid >= ${firstOwn} or classoid = 'pg_namespace'::regclass) and classoid <> 'pg_largeobject'::regclass
  and not exists (select from pg_depend where classid = classoid and objid = objoid and deptype = 'e')
  and not exists (select from pg_class where classoid = 'pg_class'::regclass and oid = objoid and relpersistence = 't')`;

/** See the head of the file. In the order in which they are shown. */
export const attachedKinds: readonly Kind[] = [
  { kind: "owner", sql: owners, counts: "changed" },
  { kind: "grant", sql: grants },
  {
    kind: "default privileges",
    sql: `select ${identified("'pg_default_acl'::regclass, d.oid, 0")}, ${explained("defaclacl", "defaclrole")} from pg_default_acl d`,
  },
  {
    kind: "comment",
    sql: `select ${identified("classoid, objoid, objsubid")}, description from pg_description where ${isDescribed}`,
  },
  {
    kind: "security label",
    sql: `select ${identified("classoid, objoid, objsubid")} || ' for ' || quote_ident(provider), label from pg_seclabel where ${isDescribed}
      union all select 'database itself for ' || quote_ident(provider), label from pg_shseclabel
        where classoid = 'pg_database'::regclass and objoid = (select oid from pg_database where ${isHere})`,
  },
];
