/** The cut of SQL text into statements, case by case. `test/migrate/split-statements.test.ts` compares it with PostgreSQL. */
import { describe, expect, it } from "vitest";
import { splitStatements } from "../../../src/migrate/split-statements.ts";

function split(sql: string): string[] {
  return splitStatements(sql).map(({ start, end }) => sql.slice(start, end));
}

describe("splitStatements", () => {
  it.each<[behaviour: string, sql: string, statements: string[]]>([
    ["no statement in an empty text", "", []],
    ["no statement in blanks and comments", " ;; -- a;\n /* b; */ ;\r\n", []],
    ["a last statement without a semicolon", "select 1; select 2", ["select 1", "select 2"]],
    ["a statement without the comments around it", "-- a\n/* b */ select 1 -- c\n ;", ["select 1"]],
    ["comments inside a statement stay", "select 1 -- ;\n + 2;", ["select 1 -- ;\n + 2"]],
    ["comments that end with a carriage return", "select 1 -- ;\r;select 2", ["select 1", "select 2"]],
    ["nested comments", "select /* a /* ; */ ; ' */ 1; select 2", ["select /* a /* ; */ ; ' */ 1", "select 2"]],
    ["a comment that never ends", "select 1 /* ; select 2", ["select 1"]],
    ["doubled quotes", "select 'it''s; ok'; select \"a\"\";b\"", ["select 'it''s; ok'", 'select "a"";b"']],
    ["a backslash in a standard string is a character", "select 'a\\'; select 2", ["select 'a\\'", "select 2"]],
    [
      "a backslash in an E string escapes",
      "select E'a\\';b'; select e'\\\\'; x",
      ["select E'a\\';b'", "select e'\\\\'", "x"],
    ],
    ["an E string that goes on after a newline", "select E'a' -- '\n '\\';'; x", ["select E'a' -- '\n '\\';'", "x"]],
    ["a string after an E string on the same line is a new one", "select E'a' '\\'; x", ["select E'a' '\\'", "x"]],
    ["a name that ends with e is no prefix of a string", "select date'\\'; x", ["select date'\\'", "x"]],
    ["Unicode strings have no backslash escape for quotes", "select U&'\\'; x", ["select U&'\\'", "x"]],
    [
      "dollar quotes",
      "do $$ begin; end $$; select $a$ ; $$ ; $b$ $a$; x",
      ["do $$ begin; end $$", "select $a$ ; $$ ; $b$ $a$", "x"],
    ],
    ["a dollar sign within a name opens nothing", "select a$b$ ; select b$b$", ["select a$b$", "select b$b$"]],
    ["a parameter opens nothing", "select $1; select $1", ["select $1", "select $1"]],
    ["a dollar quote with letters beyond ASCII", "select $é$;$é$; x", ["select $é$;$é$", "x"]],
    ["a dollar quote that never ends", "select $a$ ; $b$ ;", ["select $a$ ; $b$ ;"]],
    [
      "semicolons in parentheses",
      "create rule r as on insert to t do (a; b); x",
      ["create rule r as on insert to t do (a; b)", "x"],
    ],
    ["a parenthesis too many", "select 1); x", ["select 1)", "x"]],
    ["a quote that never ends", "select 'a; b", ["select 'a; b"]],
    ["a word of two letters with a quote after it", "select be'x;'; x", ["select be'x;'", "x"]],
  ])("%s", (_behaviour, sql, statements) => {
    expect(split(sql)).toEqual(statements);
  });

  it("keeps the body of a BEGIN ATOMIC routine together, with CASE inside", () => {
    const body = "begin atomic select 1; select case when true then 1 else 2 end; select (case when a then 1 end); end";
    for (const head of [
      "create function f() returns int ",
      "create or replace procedure p() ",
      "CREATE FUNCTION g() returns int ",
    ])
      expect(split(`${head}${body}; select 2`)).toEqual([`${head}${body}`, "select 2"]);
  });

  it("does not take BEGIN, CASE or END elsewhere for a body", () => {
    expect(split("begin; select case when true then 1 end; end; create table atomic (a int); x")).toHaveLength(5);
    expect(split("create function f() returns int as 'begin atomic' language sql; x")).toHaveLength(2);
    expect(split("create table t (a int); begin atomic; x")).toHaveLength(3);
  });

  it("gives the words outside quotes, comments and parentheses, in lower case", () => {
    const [statement] = splitStatements(`COPY "From" (a, b) /* to */ FROM StdIn WITH (FORMAT csv) -- x`);
    expect(statement!.words).toEqual(["copy", "from", "stdin", "with"]);
  });

  it("reports the first backslash outside quotes", () => {
    const sql = "select '\\a'; select 1 \\gexec\n";
    expect(splitStatements(sql).map(({ backslashAt }) => backslashAt)).toEqual([undefined, sql.indexOf("\\gexec")]);
  });

  it("splits megabytes without exhausting the stack", () => {
    const sql = `insert into t values (E'${"\\'x".repeat(400_000)}');/*${" /* */".repeat(200_000)}*/select '${"''".repeat(400_000)}';`;
    expect(splitStatements(sql)).toHaveLength(2);
  });
});
