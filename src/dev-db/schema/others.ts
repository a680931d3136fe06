/**
 * What is in a database beside relations and types: one query per kind.
 *
 * Owns: what of such an object is compared. Mirrors the chapter "System Catalogs" of the manual, PostgreSQL 15 and later.
 * Invariant: no answer has a password: options that hold one are said to be there.
 */
import { identity, isOwn, type Kind, options, reference } from "./kind.ts";

/** The columns of a catalog that are the same in no two versions, as JSON, without those that tell only which row it is. */
const columnsBut = (row: string, ...names: readonly string[]) =>
  `(to_jsonb(${row}) - array['oid', '${names.join("', '")}'])::text`;
const operator = (oid: string) => reference(oid, "regoperator");
const procedure = (oid: string) => reference(oid, "regprocedure");

const aggregate = `select concat_ws(', ', 'aggregate', 'kind ' || aggkind::text, 'direct arguments ' || nullif(aggnumdirectargs, 0),
    'sfunc ' || aggtransfn::regprocedure, 'stype ' || format_type(aggtranstype, null), 'sspace ' || nullif(aggtransspace, 0),
    'initcond ' || quote_literal(agginitval), 'finalfunc ' || ${procedure("aggfinalfn")}, 'modify ' || aggfinalmodify::text,
    case when aggfinalextra then 'extra' end, 'combinefunc ' || ${procedure("aggcombinefn")}, 'serialfunc ' || ${procedure("aggserialfn")},
    'deserialfunc ' || ${procedure("aggdeserialfn")}, 'msfunc ' || ${procedure("aggmtransfn")}, 'minvfunc ' || ${procedure("aggminvtransfn")},
    'mfinalfunc ' || ${procedure("aggmfinalfn")}, 'mmodify ' || aggmfinalmodify::text, case when aggmfinalextra then 'mextra' end,
    'mstype ' || format_type(nullif(aggmtranstype, 0), null), 'minitcond ' || quote_literal(aggminitval),
    'sortop ' || ${operator("aggsortop")}, 'parallel ' || proparallel::text)
  from pg_aggregate where aggfnoid = p.oid`;

const families = `select ${identity("pg_opfamily", "f.oid")}, concat_ws(e'\\n',
    (select string_agg(concat_ws(' ', 'operator', amopstrategy, amopopr::regoperator, case amoppurpose when 'o' then 'for order by' end,
      ${identity("pg_opfamily", "nullif(amopsortfamily, 0)")}), e'\\n' order by amopstrategy, amopopr::regoperator::text)
      from pg_amop where amopfamily = f.oid),
    (select string_agg(concat_ws(' ', 'function', amprocnum, format('(%s, %s)', format_type(amproclefttype, null), format_type(amprocrighttype, null)),
      amproc::regprocedure), e'\\n' order by amprocnum, amproc::regprocedure::text) from pg_amproc where amprocfamily = f.oid))
  from pg_opfamily f where ${isOwn("pg_opfamily", "f")}`;

const configurations = `select ${identity("pg_ts_config", "c.oid")}, 'parser ' || ${identity("pg_ts_parser", "cfgparser")} || coalesce((
    select string_agg(e'\\n' || alias || ': ' || dictionaries, '' order by alias) from (
      select alias, string_agg(mapdict::regdictionary::text, ', ' order by mapseqno) as dictionaries
      from pg_ts_config_map join ts_token_type(cfgparser) on tokid = maptokentype where mapcfg = c.oid group by alias) mapped), '')
  from pg_ts_config c where ${isOwn("pg_ts_config", "c")}`;

const publications = `select quote_ident(pubname), concat_ws(e'\\n', ${columnsBut("p", "pubname", "pubowner")},
    (select string_agg('schema ' || pnnspid::regnamespace, e'\\n' order by pnnspid::regnamespace::text) from pg_publication_namespace where pnpubid = p.oid),
    (select string_agg(concat_ws(' ', 'table', prrelid::regclass, '(' || (select string_agg(quote_ident(attname), ', ' order by attnum)
      from pg_attribute where attrelid = prrelid and attnum = any (prattrs)) || ')', 'where ' || pg_get_expr(prqual, prrelid)), e'\\n'
      order by prrelid::regclass::text) from pg_publication_rel where prpubid = p.oid))
  from pg_publication p where ${isOwn("pg_publication", "p")}`;

/** Of user mappings. */
const secrets = "'^((?:ssl)?password|passcode)=.*', '\\1=…'";

/** See the head of the file. In the order in which they are shown. */
export const otherKinds: readonly Kind[] = [
  {
    kind: "extension",
    sql: `select quote_ident(extname), format('version %s in schema %s', extversion, extnamespace::regnamespace) from pg_extension`,
  },
  {
    kind: "language",
    sql: `select quote_ident(lanname), concat_ws(', ', case when lanpltrusted then 'trusted' end, 'handler ' || ${procedure("lanplcallfoid")},
      'inline ' || ${procedure("laninline")}, 'validator ' || ${procedure("lanvalidator")}) from pg_language l where ${isOwn("pg_language", "l")}`,
  },
  {
    kind: "access method",
    sql: `select quote_ident(amname), format('%s, handler %s', case amtype when 't' then 'table' else 'index' end, amhandler)
      from pg_am a where ${isOwn("pg_am", "a")}`,
  },
  {
    kind: "routine",
    sql: `select ${identity("pg_proc", "p.oid")}, case prokind when 'a' then (${aggregate}) else pg_get_functiondef(p.oid) end
      from pg_proc p where ${isOwn("pg_proc", "p")} and pronamespace::regnamespace::text !~ '^pg_temp_'
        and not exists (select from pg_depend where classid = 'pg_proc'::regclass and objid = p.oid and deptype = 'i')`,
  },
  {
    kind: "operator",
    sql: `select ${identity("pg_operator", "o.oid")}, concat_ws(', ', 'function ' || ${procedure("oprcode")}, 'result ' || ${reference("oprresult", "regtype")},
      'commutator ' || ${operator("oprcom")}, 'negator ' || ${operator("oprnegate")}, 'restrict ' || ${procedure("oprrest")},
      'join ' || ${procedure("oprjoin")}, case when oprcanhash then 'hashes' end, case when oprcanmerge then 'merges' end)
      from pg_operator o where ${isOwn("pg_operator", "o")}`,
  },
  { kind: "operator family", sql: families },
  {
    kind: "operator class",
    sql: `select ${identity("pg_opclass", "o.oid")}, concat_ws(', ', case when opcdefault then 'default' end, 'for ' || format_type(opcintype, null),
      'family ' || ${identity("pg_opfamily", "opcfamily")}, 'storage ' || ${reference("opckeytype", "regtype")}) from pg_opclass o where ${isOwn("pg_opclass", "o")}`,
  },
  {
    kind: "cast",
    sql: `select ${identity("pg_cast", "c.oid")}, concat_ws(', ', case castmethod when 'b' then 'binary coercible' when 'i' then 'by input and output' end,
      'function ' || ${procedure("castfunc")}, case castcontext when 'a' then 'assignment' when 'i' then 'implicit' else 'explicit' end)
      from pg_cast c where ${isOwn("pg_cast", "c")}
        and not exists (select from pg_depend where classid = 'pg_cast'::regclass and objid = c.oid and deptype = 'i')`,
  },
  {
    kind: "conversion",
    sql: `select ${identity("pg_conversion", "c.oid")}, concat_ws(' ', case when condefault then 'default' end, pg_encoding_to_char(conforencoding), 'to',
      pg_encoding_to_char(contoencoding), 'by', conproc) from pg_conversion c where ${isOwn("pg_conversion", "c")}`,
  },
  {
    kind: "transform",
    sql: `select ${identity("pg_transform", "t.oid")}, concat_ws(', ', 'from SQL ' || ${procedure("trffromsql")}, 'to SQL ' || ${procedure("trftosql")})
      from pg_transform t where ${isOwn("pg_transform", "t")}`,
  },
  {
    kind: "collation",
    sql: `select ${identity("pg_collation", "c.oid")}, ${columnsBut("c", "collname", "collnamespace", "collowner", "collversion")}
      from pg_collation c where ${isOwn("pg_collation", "c")} and collnamespace <> 'pg_catalog'::regnamespace`,
  },
  {
    kind: "text search parser",
    sql: `select ${identity("pg_ts_parser", "p.oid")}, format('start %s, gettoken %s, end %s, headline %s, lextypes %s', prsstart, prstoken, prsend, prsheadline, prslextype)
      from pg_ts_parser p where ${isOwn("pg_ts_parser", "p")}`,
  },
  {
    kind: "text search template",
    sql: `select ${identity("pg_ts_template", "t.oid")}, format('init %s, lexize %s', tmplinit, tmpllexize) from pg_ts_template t where ${isOwn("pg_ts_template", "t")}`,
  },
  {
    kind: "text search dictionary",
    sql: `select ${identity("pg_ts_dict", "d.oid")}, concat_ws(', ', 'template ' || ${identity("pg_ts_template", "dicttemplate")}, dictinitoption)
      from pg_ts_dict d where ${isOwn("pg_ts_dict", "d")}`,
  },
  { kind: "text search configuration", sql: configurations },
  { kind: "publication", sql: publications },
  {
    // Without subconninfo, which has passwords, and which not everybody may read; to_jsonb of the row would.
    kind: "subscription",
    sql: `select quote_ident(subname), concat_ws(', ', case when subenabled then 'enabled' else 'disabled' end, 'slot ' || quote_ident(subslotname),
      'publications ' || ${options("subpublications")}) from pg_subscription where subdbid = (select oid from pg_database where datname = current_database())`,
  },
  {
    kind: "foreign data wrapper",
    sql: `select quote_ident(fdwname), concat_ws(', ', 'handler ' || ${procedure("fdwhandler")}, 'validator ' || ${procedure("fdwvalidator")}, ${options("fdwoptions")})
      from pg_foreign_data_wrapper f where ${isOwn("pg_foreign_data_wrapper", "f")}`,
  },
  {
    kind: "foreign server",
    sql: `select quote_ident(srvname), concat_ws(', ', 'wrapper ' || (select quote_ident(fdwname) from pg_foreign_data_wrapper where oid = srvfdw),
      'type ' || quote_literal(srvtype), 'version ' || quote_literal(srvversion), ${options("srvoptions")}) from pg_foreign_server s where ${isOwn("pg_foreign_server", "s")}`,
  },
  {
    kind: "user mapping",
    sql: `select format('for %I on %I', usename, srvname), coalesce((select string_agg(regexp_replace(option, ${secrets}), ', ' order by option)
      from unnest(umoptions) option), '') from pg_user_mappings`,
  },
  {
    kind: "database",
    sql: `select 'itself', ${columnsBut("d", "datname", "datdba", "datacl", "datistemplate", "datallowconn", "dathasloginevt", "datconnlimit", "datfrozenxid", "datminmxid", "datcollversion")}
      from pg_database d where datname = current_database()`,
  },
  {
    kind: "setting",
    sql: `select coalesce('of role ' || (select quote_ident(rolname) from pg_roles where oid = setrole), 'of the database'), ${options("setconfig")}
      from pg_db_role_setting where setdatabase = (select oid from pg_database where datname = current_database())`,
  },
];
