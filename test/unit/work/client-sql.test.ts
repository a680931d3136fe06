/** Recognising COPY … FROM STDIN and DEALLOCATE in SQL. Mirrors CopyStmt and DeallocateStmt in gram.y. */
import { describe, expect, test } from "vitest";
import { copyIn, deallocatedName, isOrdinary, mayCopyIn } from "../../../src/work/client-sql.ts";
import { message } from "../../support/wire-client.ts";

const text = 0;
const binary = 1;

describe("COPY from the client", () => {
  test.each([
    ["copy t from stdin", "t", undefined, text],
    ["COPY t FROM STDIN;", "t", undefined, text],
    ["\n\tCopy\r\nT\fFrom\vStdIn ;; ", "T", undefined, text],
    [";copy t from stdin", "t", undefined, text],
    // STDOUT for STDIN
    ["copy t from stdout", "t", undefined, text],
    // Names
    ["copy s.t from stdin", "s.t", undefined, text],
    ["copy d.s.t from stdin", "d.s.t", undefined, text],
    ["copy s . t from stdin", "s . t", undefined, text],
    ['copy "T t" from stdin', '"T t"', undefined, text],
    ['copy "a""b" from stdin', '"a""b"', undefined, text],
    ['copy"t"from stdin', '"t"', undefined, text],
    ['copy "s"."from stdin" from stdin', '"s"."from stdin"', undefined, text],
    ['copy ";" from stdin', '";"', undefined, text],
    ["copy tüb€r from stdin", "tüb€r", undefined, text],
    ["copy t$1 from stdin", "t$1", undefined, text],
    ["copy 😀 from stdin", "😀", undefined, text],
    ['copy "binary" from stdin', '"binary"', undefined, text],
    // Columns
    ["copy t(a) from stdin", "t", 1, text],
    ["copy t (a, b,c) from stdin", "t", 3, text],
    ['copy t ("a,b", "c)") from stdin', "t", 2, text],
    ["copy s.t /* (x */ (a -- ,\n, b) from stdin", "s.t", 2, text],
    // Options
    ["copy t from stdin with (format csv, header)", "t", undefined, text],
    ["copy t from stdin (format text)", "t", undefined, text],
    ["copy t from stdin (format binary)", "t", undefined, binary],
    ["copy t from stdin (format 'binary')", "t", undefined, binary],
    ['copy t from stdin (format "binary")', "t", undefined, binary],
    ["copy t from stdin with (freeze, format binary)", "t", undefined, binary],
    ["copy t from stdin (FORMAT BINARY)", "t", undefined, binary],
    ["copy t from stdin (null 'format binary', format csv)", "t", undefined, text],
    ["copy t from stdin (format csv, force_null (format, binary))", "t", undefined, text],
    ["copy t from stdin csv header delimiter ';' null ''", "t", undefined, text],
    ["copy t from stdin with csv quote '''' escape E'\\''", "t", undefined, text],
    ["copy t from stdin using delimiters ','", "t", undefined, text],
    // BINARY as it was before 9.0
    ["copy binary t from stdin", "t", undefined, binary],
    ["copy binary t (a) from stdin", "t", 1, binary],
    ["copy t from stdin binary", "t", undefined, binary],
    ["copy t from stdin with binary", "t", undefined, binary],
    // WHERE
    ["copy t from stdin where a > 1", "t", undefined, text],
    ["copy t from stdin (format csv) where format = binary", "t", undefined, text],
    ["copy t from stdin where x = ';' and y = $$;$$ and z = '--'", "t", undefined, text],
    // Comments
    ["-- copy x from stdin\ncopy t from stdin", "t", undefined, text],
    ["/* ; */ copy t from stdin -- ;", "t", undefined, text],
    ["/* /* nested ; */ copy x from stdin; */ copy t from stdin", "t", undefined, text],
    ["copy/**/t/**/from/**/stdin", "t", undefined, text],
    ["copy t from -- x\r stdin", "t", undefined, text],
  ] as const)("%s", (sql, table, columns, format) => {
    expect(copyIn(sql)).toEqual({ table, columns, format });
    expect(mayCopyIn(sql)).toBe(true);
    expect(isOrdinary(message.query(sql))).toBe(false);
  });
});

describe("no COPY from the client", () => {
  test.each([
    "copy t to stdout",
    "copy t to stdin",
    "copy (select 1) to stdout",
    "copy (select a from stdin) to stdout",
    "copy (select 'x' from copy) to stdout with (format csv)",
    "copy t from '/tmp/stdin'",
    "copy t from 'stdin'",
    "copy t from program 'cat stdin'",
    "select 'copy t from stdin'",
    "select $$copy t from stdin$$",
    "select $a$; copy t from stdin; $b$ $a$",
    "select E'\\'; copy t from stdin; --'",
    "select e'\\\\\\'; copy t from stdin --'",
    "select U&'\\0041'; -- copy t from stdin",
    'select "; copy t from stdin"',
    "select 1 /* ; copy t from stdin */",
    "select 1 -- ; copy t from stdin",
    "insert into copy select a from stdin",
    "select copy from stdin",
    "explain copy t from stdin",
    "copy from stdin",
    "",
    ";",
    "copy",
    "copy t from",
    // Unfinished: the rest is all one token.
    "select 'copy t from stdin",
    "select $x$; copy t from stdin",
    "/* copy t from stdin",
    // The second part of a string that goes on behind a line break takes escapes as the first does.
    "select E'a'\n'\\'; copy t from stdin --'",
  ])("%s", (sql) => {
    expect(copyIn(sql)).toBeUndefined();
  });
});

describe("a COPY from the client among other statements", () => {
  test.each([
    "select 1; copy t from stdin",
    "copy t from stdin; select 1",
    "begin; copy t (a) from stdin with (format csv); commit",
    "copy a from stdin; copy b from stdin",
    "copy a to stdout; copy b from stdin",
    "select '\\'; copy t from stdin",
    "select $1$; copy t from stdin",
    "select a$b$; copy t from stdin; select $b$",
    "select 1/**/;/**/copy t from stdin",
  ])("%s", (sql) => {
    expect(copyIn(sql)).toBe("mixed");
  });
});

describe("whether there may be a COPY from the client", () => {
  test.each(["COPY t FROM STDIN", "copy\nt from\tSTDOUT", 'copy"x"from/**/stdin', "-- stdin copy"])(
    "cannot be told from %s",
    (sql) => {
      expect(mayCopyIn(sql)).toBe(true);
    },
  );

  test.each(["select 1", "copy t from 'file'", "select stdin", "copycat stdin", "copy mystdin"])(
    "is no for %s",
    (sql) => {
      expect(mayCopyIn(sql)).toBe(false);
    },
  );
});

describe("DEALLOCATE", () => {
  test.each([
    ["deallocate s1", "s1"],
    ["DEALLOCATE PREPARE S1;", "s1"],
    ['deallocate "S 1"', "S 1"],
    ['deallocate prepare "a""b" ; ', 'a"b'],
    ["/* x */ deallocate -- y\n s1", "s1"],
    ['deallocate "all"', "all"],
    ["deallocate _pg3_0", "_pg3_0"],
    // PREPARE is no reserved word.
    ["deallocate prepare", "prepare"],
  ])("%s takes %s away", (sql, name) => {
    expect(deallocatedName(sql)).toBe(name);
    expect(isOrdinary(message.query(sql))).toBe(false);
  });

  test.each([
    "deallocate all",
    "deallocate prepare ALL",
    "deallocate",
    "deallocate s1; select 1",
    "select 1; deallocate s1",
    "deallocate s1 s2",
    "deallocate 's1'",
    "select 'deallocate s1'",
    "-- deallocate s1",
    "select 1",
  ])("is not in %s", (sql) => {
    expect(deallocatedName(sql)).toBeUndefined();
  });
});

describe("an ordinary message", () => {
  test.each(["select 1", "insert into t values ('x')", "begin", ""])("%s", (sql) => {
    expect(isOrdinary(message.query(sql))).toBe(true);
    expect(isOrdinary(message.parse("s", sql))).toBe(true);
  });

  test.each(["Discard All", "DEALLOCATE all", "deallocate s", "cOpY t from stdin"])("is not %s", (sql) => {
    expect(isOrdinary(message.query(sql))).toBe(false);
    expect(isOrdinary(message.parse("s", sql))).toBe(false);
  });
});
