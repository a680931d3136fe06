/** Statements that are nested too deeply for PostgreSQL. What is expected was compared with PostgreSQL 18. */

/** What stands before, the same thing many times, and what stands behind. */
export const nested = (times: number, before: string, inner: string, behind = "") =>
  `select ${before.repeat(times)}${inner}${behind.repeat(times)}`;

/** What the statements need. */
export const deepSetup = `
set check_function_bodies = off;
create function recurs_in_plpgsql(i int) returns int language plpgsql as 'begin return recurs_in_plpgsql(i + 1); end';
create function recurs_in_block(i int) returns int language plpgsql as
  'begin return recurs_in_block(i + 1); exception when division_by_zero then return 1; end';
create function recurs_in_sql(i int) returns int volatile language sql as 'select recurs_in_sql(i + 1) limit 1';
create function inlined(i int) returns int language sql as 'select inlined(i + 1)';
create table triggering (n int);
create function triggers_itself() returns trigger language plpgsql as
  'begin insert into triggering values (new.n + 1); return new; end';
create trigger again before insert on triggering for each row execute function triggers_itself();
create function runs_itself() returns void language plpgsql as $$begin execute 'select runs_itself()'; end$$;
create table bottom (n int);
create view view_0 as select * from bottom;
do $$begin for i in 1..250 loop
  execute format('create view view_%s as select * from view_%s', i, i - 1);
end loop; end$$;
create rule again as on insert to bottom do also delete from bottom where n = 0`;

/** Each with its SQLSTATE. */
export const deepStatements: readonly (readonly [name: string, sql: string, code: string])[] = [
  ["JSON arrays, binary", "select repeat('[', 1000000)::jsonb", "54001"],
  ["JSON arrays, as text", "select repeat('[', 1000000)::json", "54001"],
  ["JSON objects", `select repeat('{"a":', 1000000)::jsonb`, "54001"],
  ["a long regular expression", "select '' ~ repeat('x', 100000)", "2201B"],
  ["groups in a regular expression", "select '' ~ (repeat('(', 50000) || repeat(')', 50000))", "2201B"],
  ["a LIKE of many parts", "select repeat('a', 100000) like repeat('%a', 50000) || 'b'", "54001"],
  ["sums", nested(10_000, "", "1", "+1"), "54001"],
  ["many more sums", nested(100_000, "", "1", "+1"), "54001"],
  ["concatenations", nested(10_000, "", "'a'", "||'a'"), "54001"],
  ["casts", nested(8000, "", "1", "::int::text"), "54001"],
  ["calls", nested(4900, "abs(", "1", ")"), "54001"],
  ["unions", nested(20_000, "", "1", " union all select 1"), "54001"],
  ["parentheses", nested(50_000, "(", "1", ")"), "42601"],
  ["negations", nested(50_000, "not ", "true"), "42601"],
  ["subselects", nested(5000, "(select ", "1", ")"), "42601"],
  ["arrays", nested(10_000, "array[", "1", "]"), "42601"],
  ["rows", nested(10_000, "row(", "1", ")"), "42601"],
  ["CASE", nested(10_000, "case when true then ", "1", " end"), "42601"],
  ["parentheses in a JSON path", "select (repeat('(', 10000) || '1' || repeat(')', 10000))::jsonpath", "42601"],
  ["parentheses in a tsquery", "select (repeat('(', 100000) || 'a' || repeat(')', 100000))::tsquery", "54001"],
  ["a long tsquery", "select ('a' || repeat('&a', 30000))::tsquery", "54001"],
  ["XML", "select xmlparse(content repeat('<a>', 100000))", "2200N"],
  ["PL/pgSQL", "select recurs_in_plpgsql(1)", "54001"],
  ["PL/pgSQL with a handler", "select recurs_in_block(1)", "54001"],
  ["EXECUTE", "select runs_itself()", "54001"],
  ["SQL functions", "select recurs_in_sql(1)", "54001"],
  ["SQL functions that are inlined", "select inlined(1)", "54001"],
  ["triggers", "insert into triggering values (1)", "54001"],
  ["an expression in PL/pgSQL", `do $$ declare n int; begin n := 1${"+1".repeat(9000)}; end $$`, "54001"],
];
