/**
 * Schemas, types, and relations with what belongs to them: one query per kind.
 *
 * Owns: what of such an object is compared. Mirrors the chapter "System Catalogs" of the manual, PostgreSQL 15 and later.
 */
import { identity, isOwn, isOwnRelation, type Kind, options, reference } from "./kind.ts";

/** As pg_dump calls the columns tgenabled, evtenabled and ev_enabled. */
const enabled = (column: string) =>
  `case ${column} when 'D' then 'disabled' when 'R' then 'enabled replica' when 'A' then 'enabled always' end`;

const tablespace = `'tablespace ' || (select quote_ident(spcname) from pg_tablespace where oid = c.reltablespace)`;
const accessMethod = `'using ' || (select quote_ident(amname) from pg_am where oid = c.relam)`;
const settings = `'with (' || ${options("c.reloptions")} || ')'`;
/** What a partition or an inheriting relation has as parents. */
const parents = `(select string_agg(inhparent::regclass::text, ', ' order by inhseqno) from pg_inherits where inhrelid = c.oid)`;

const types = `select ${identity("pg_type", "t.oid")}, case t.typtype
    when 'e' then 'enum (' || (select string_agg(quote_literal(enumlabel), ', ' order by enumsortorder)
      from pg_enum where enumtypid = t.oid) || ')'
    when 'c' then 'composite (' || coalesce((select string_agg(concat_ws(' ', quote_ident(attname), format_type(atttypid, atttypmod),
      'collate ' || case when attcollation <> (select typcollation from pg_type where oid = atttypid)
        then attcollation::regcollation end), ', ' order by attnum)
      from pg_attribute where attrelid = t.typrelid and not attisdropped), '') || ')'
    when 'd' then concat_ws(' ', 'domain over', format_type(t.typbasetype, t.typtypmod),
      'collate ' || case when t.typcollation <> (select typcollation from pg_type where oid = t.typbasetype)
        then t.typcollation::regcollation end, case when t.typnotnull then 'not null' end, 'default ' || t.typdefault)
    when 'r' then (select concat_ws(', ', 'range of ' || format_type(rngsubtype, null),
      'operator class ' || ${identity("pg_opclass", "rngsubopc")}, 'collate ' || ${reference("rngcollation", "regcollation")},
      'canonical ' || ${reference("rngcanonical", "regprocedure")}, 'subtype_diff ' || ${reference("rngsubdiff", "regprocedure")},
      'multirange ' || rngmultitypid::regtype) from pg_range where rngtypid = t.oid)
    when 'p' then 'shell or pseudo-type'
    else concat_ws(', ', 'base type', 'input ' || typinput, 'output ' || typoutput, 'receive ' || nullif(typreceive::text, '-'),
      'send ' || nullif(typsend::text, '-'), 'typmod_in ' || nullif(typmodin::text, '-'), 'typmod_out ' || nullif(typmodout::text, '-'),
      'analyze ' || nullif(typanalyze::text, '-'), 'subscript ' || nullif(typsubscript::text, '-'), 'length ' || typlen,
      case when typbyval then 'by value' end, 'alignment ' || typalign::text, 'storage ' || typstorage::text,
      'category ' || typcategory::text, case when typispreferred then 'preferred' end, 'delimiter ' || quote_literal(typdelim::text),
      'element ' || ${reference("typelem", "regtype")}, 'collate ' || ${reference("typcollation", "regcollation")},
      'default ' || typdefault) end
  from pg_type t where ${isOwn("pg_type", "t")} and t.typtype <> 'm' and t.typnamespace::regnamespace::text !~ '^pg_temp_'
    and (t.typrelid = 0 or exists (select from pg_class where oid = t.typrelid and relkind = 'c'))
    and not exists (select from pg_type where typarray = t.oid)`;

const sequences = `select ${identity("pg_class", "c.oid")}, concat_ws(' ', case c.relpersistence when 'u' then 'unlogged' end,
    'as ' || format_type(seqtypid, null), 'start ' || seqstart, 'increment ' || seqincrement, 'minvalue ' || seqmin,
    'maxvalue ' || seqmax, 'cache ' || seqcache, case when seqcycle then 'cycle' end,
    'owned by ' || (select (pg_identify_object(refclassid, refobjid, refobjsubid)).identity from pg_depend
      where classid = 'pg_class'::regclass and objid = c.oid and refobjsubid > 0 and deptype in ('a', 'i') limit 1))
  from pg_sequence join pg_class c on c.oid = seqrelid where ${isOwnRelation("c")}`;

const tables = `select ${identity("pg_class", "c.oid")}, concat_ws(', ', case c.relpersistence when 'u' then 'unlogged' end,
    case c.relkind when 'f' then 'foreign' end,
    'partitioned by ' || case c.relkind when 'p' then pg_get_partkeydef(c.oid) end,
    case when c.relispartition then concat_ws(' ', 'partition of', ${parents}, pg_get_expr(c.relpartbound, c.oid))
      else 'inherits ' || ${parents} end,
    'of ' || ${reference("c.reloftype", "regtype")}, ${accessMethod}, ${settings},
    'toast (' || (select ${options("t.reloptions")} from pg_class t where t.oid = c.reltoastrelid) || ')', ${tablespace},
    case when c.relrowsecurity then 'row level security' end, case when c.relforcerowsecurity then 'forced row level security' end,
    'replica identity ' || case c.relreplident when 'n' then 'nothing' when 'f' then 'full' when 'i' then 'index' end,
    (select concat_ws(', ', 'server ' || quote_ident(srvname), 'options (' || ${options("ftoptions")} || ')')
      from pg_foreign_table join pg_foreign_server s on s.oid = ftserver where ftrelid = c.oid))
  from pg_class c where c.relkind in ('r', 'p', 'f') and ${isOwnRelation("c")}`;

const columns = `select ${identity("pg_class", "c.oid")} || '.' || quote_ident(attname), concat_ws(' ', format_type(atttypid, atttypmod),
    'collate ' || case when attcollation <> t.typcollation then attcollation::regcollation end,
    case when attnotnull then 'not null' end,
    case attidentity when 'a' then 'generated always as identity' when 'd' then 'generated by default as identity' end,
    case attgenerated when '' then 'default ' || pg_get_expr(adbin, adrelid)
      else 'generated always as (' || pg_get_expr(adbin, adrelid) || case attgenerated when 'v' then ') virtual' else ') stored' end end,
    'storage ' || case when attstorage <> t.typstorage then case attstorage when 'p' then 'plain' when 'e' then 'external'
      when 'm' then 'main' else 'extended' end end,
    'compression ' || case attcompression when 'p' then 'pglz' when 'l' then 'lz4' end,
    'statistics ' || nullif(attstattarget, -1), 'with (' || ${options("attoptions")} || ')', 'options (' || ${options("attfdwoptions")} || ')',
    case when attinhcount > 0 then case when attislocal then '(inherited and local)' else '(inherited)' end end)
  from pg_attribute a join pg_class c on c.oid = attrelid left join pg_type t on t.oid = atttypid
    left join pg_attrdef on adrelid = attrelid and adnum = attnum
  where attnum > 0 and not attisdropped and (c.relkind in ('r', 'p', 'f', 'm') or c.relkind = 'v' and atthasdef) and ${isOwnRelation("c")}`;

const columnOrder = `select ${identity("pg_class", "c.oid")}, string_agg(quote_ident(attname), e'\\n' order by attnum)
  from pg_attribute join pg_class c on c.oid = attrelid
  where attnum > 0 and not attisdropped and c.relkind in ('r', 'p', 'f') and ${isOwnRelation("c")} group by c.oid`;

const constraints = `select ${identity("pg_constraint", "k.oid")}, concat_ws(' ', pg_get_constraintdef(k.oid),
    case when coninhcount > 0 then case when conislocal then '(inherited and local)' else '(inherited)' end end)
  from pg_constraint k left join pg_class c on c.oid = conrelid
  where contype <> 't' and ${isOwn("pg_constraint", "k")} and (conrelid = 0 or ${isOwnRelation("c")})
    and not exists (select from pg_depend where classid = 'pg_type'::regclass and objid = contypid and deptype = 'e')`;

const indexes = `select ${identity("pg_class", "c.oid")}, concat_ws(', ', pg_get_indexdef(c.oid), ${tablespace}, 'attached to ' || ${parents},
    case when not indisvalid then 'invalid' end, case when indisclustered then 'clustered on' end,
    case when indisreplident then 'replica identity' end,
    (select string_agg(format('statistics of %s: %s', attnum, attstattarget), ', ' order by attnum)
      from pg_attribute where attrelid = c.oid and attstattarget >= 0))
  from pg_index i join pg_class c on c.oid = indexrelid where ${isOwnRelation("c")}`;

const views = (kind: string) => `select ${identity("pg_class", "c.oid")}, concat_ws(e'\\n', ${settings},
    case c.relkind when 'm' then concat_ws(', ', ${accessMethod}, ${tablespace}, case when not c.relispopulated then 'not populated' end) end,
    pg_get_viewdef(c.oid))
  from pg_class c where c.relkind = '${kind}' and ${isOwnRelation("c")}`;

const triggers = `select ${identity("pg_trigger", "t.oid")}, concat_ws(', ', pg_get_triggerdef(t.oid), ${enabled("tgenabled")})
  from pg_trigger t join pg_class c on c.oid = tgrelid where not tgisinternal and ${isOwn("pg_trigger", "t")} and ${isOwnRelation("c")}`;

const rules = `select ${identity("pg_rewrite", "r.oid")}, concat_ws(', ', pg_get_ruledef(r.oid), ${enabled("ev_enabled")})
  from pg_rewrite r join pg_class c on c.oid = ev_class where rulename <> '_RETURN' and ${isOwn("pg_rewrite", "r")} and ${isOwnRelation("c")}`;

const policies = `select ${identity("pg_policy", "p.oid")}, concat_ws(' ', case when polpermissive then 'permissive' else 'restrictive' end,
    'for', case polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
    'to', (select string_agg(case role when 0 then 'public' else quote_ident(pg_get_userbyid(role)) end, ', ' order by 1)
      from unnest(polroles) role),
    'using (' || pg_get_expr(polqual, polrelid) || ')', 'with check (' || pg_get_expr(polwithcheck, polrelid) || ')')
  from pg_policy p where ${isOwn("pg_policy", "p")}`;

/** See the head of the file. In the order in which they are shown. */
export const relationKinds: readonly Kind[] = [
  {
    kind: "schema",
    sql: `select quote_ident(nspname), '' from pg_namespace n
      where (${isOwn("pg_namespace", "n")} or nspname = 'public') and nspname !~ '^pg_(toast_)?temp_'`,
  },
  { kind: "type", sql: types },
  { kind: "sequence", sql: sequences },
  { kind: "table", sql: tables },
  { kind: "column", sql: columns },
  { kind: "column order", sql: columnOrder, counts: "order" },
  { kind: "constraint", sql: constraints },
  { kind: "index", sql: indexes },
  { kind: "view", sql: views("v") },
  { kind: "materialized view", sql: views("m") },
  { kind: "trigger", sql: triggers },
  { kind: "rule", sql: rules },
  { kind: "policy", sql: policies },
  {
    kind: "statistics",
    sql: `select ${identity("pg_statistic_ext", "s.oid")}, concat_ws(', ', pg_get_statisticsobjdef(s.oid), 'target ' || nullif(stxstattarget, -1))
      from pg_statistic_ext s where ${isOwn("pg_statistic_ext", "s")}`,
  },
  {
    kind: "event trigger",
    sql: `select quote_ident(evtname), concat_ws(' ', 'on', evtevent, 'when tag in (' || ${options("evttags")} || ')', 'execute', evtfoid::regprocedure, ${enabled("evtenabled")})
      from pg_event_trigger e where ${isOwn("pg_event_trigger", "e")}`,
  },
];
