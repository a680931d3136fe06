/** Golden conversations: COPY in the simple query protocol. */
import { golden } from "../support/golden-suite.ts";

const setup = `
  drop schema if exists "Odd schema" cascade;
  create table c(n int, t text);
  create schema "Odd schema";
  create table "Odd schema"."a ""b"", (from stdin)"(n int, "x,y" text);
  create table generated(n int, twice int generated always as (n * 2) stored, t text);
  create table nothing();
`;

golden("COPY from the client", {
  setup,
  reset: "truncate c, generated, nothing",
  conversations: {
    "text, in several messages that are cut anywhere": `
      F Query "copy c from stdin"
      B CopyInResponse 0 [0,0]
      F CopyData "1\\tone\\n2\\t"
      F CopyData ""
      F CopyData "two\\n"
      F CopyDone
      B CommandComplete "COPY 2"
      B ReadyForQuery I
      F Query "select * from c order by n"
      B RowDescription "n":int4 "t":text
      B DataRow "1" "one"
      B DataRow "2" "two"
      B CommandComplete "SELECT 2"
      B ReadyForQuery I
    `,
    "everything at once": `
      F Query "copy c from stdin"
      F CopyData "1\\tone\\n"
      F CopyDone
      F Query "select count(*) from c"
      F Query "copy c (n) from stdin"
      F CopyData "7\\n"
      F CopyDone
      B CopyInResponse 0 [0,0]
      B CommandComplete "COPY 1"
      B ReadyForQuery I
      B RowDescription "count":int8
      B DataRow "1"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
      B CopyInResponse 0 [0]
      B CommandComplete "COPY 1"
      B ReadyForQuery I
    `,
    "CSV with a column list, a header and a condition": `
      F Query "/* a ; comment */ copy c (t, n) from stdin with (format csv, header) where n > 1"
      B CopyInResponse 0 [0,0]
      F CopyData "t,n\\n\\"a, b\\",1\\n\\"c\\",2\\n"
      F CopyDone
      B CommandComplete "COPY 1"
      B ReadyForQuery I
      F Query "select * from c"
      B RowDescription "n":int4 "t":text
      B DataRow "2" "c"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    binary: `
      F Query "copy c from stdin (format binary)"
      B CopyInResponse 1 [1,1]
      F CopyData hex 5047434f50590aff0d0a00000000000000000000020000000400000001000000036f6e65ffff
      F CopyDone
      B CommandComplete "COPY 1"
      B ReadyForQuery I
      F Query "copy c to stdout (format binary)"
      B CopyOutResponse 1 [1,1]
      B CopyData hex 5047434f50590aff0d0a00000000000000000000020000000400000001000000036f6e65
      B CopyData hex ffff
      B CopyDone
      B CommandComplete "COPY 1"
      B ReadyForQuery I
    `,
    "a quoted table with everything in its name": `
      F Query "copy \\"Odd schema\\".\\"a \\"\\"b\\"\\", (from stdin)\\" (n, \\"x,y\\") from stdin"
      B CopyInResponse 0 [0,0]
      F CopyFail "enough"
      B ErrorResponse ERROR 57014 "COPY from stdin failed: enough"
      B ReadyForQuery I
    `,
    "a generated column has no data": `
      F Query "copy generated from stdin"
      B CopyInResponse 0 [0,0]
      F CopyData "1\\tx\\n"
      F CopyDone
      B CommandComplete "COPY 1"
      B ReadyForQuery I
    `,
    "a table without columns": `
      F Query "copy nothing from stdin"
      B CopyInResponse 0 []
      F CopyData "\\n\\n"
      F CopyDone
      B CommandComplete "COPY 2"
      B ReadyForQuery I
    `,
    "no data at all": `
      F Query "copy c from stdin"
      B CopyInResponse 0 [0,0]
      F CopyDone
      B CommandComplete "COPY 0"
      B ReadyForQuery I
    `,
    CopyFail: `
      F Query "copy c from stdin"
      B CopyInResponse 0 [0,0]
      F CopyData "1\\tone\\n"
      F CopyFail "because"
      B ErrorResponse ERROR 57014 "COPY from stdin failed: because"
      B ReadyForQuery I
      F Query "select count(*) from c"
      B RowDescription "count":int8
      B DataRow "0"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "bad data, and what follows it": `
      F Query "copy c from stdin"
      B CopyInResponse 0 [0,0]
      F CopyData "x\\tone\\n"
      F CopyData "2\\ttwo\\n"
      F CopyDone
      F Query "select count(*) from c"
      B ErrorResponse ERROR 22P02 "invalid input syntax for type integer: \\"x\\""
      B ReadyForQuery I
      B RowDescription "count":int8
      B DataRow "0"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "Flush and Sync while data is expected": `
      F Query "copy c from stdin"
      F Flush
      F Sync
      B CopyInResponse 0 [0,0]
      F CopyData "1\\tone\\n"
      F Sync
      F CopyDone
      B CommandComplete "COPY 1"
      B ReadyForQuery I
    `,
    "a missing table is answered at once, and data that comes anyway is ignored": `
      F Query "copy missing from stdin"
      B ErrorResponse ERROR 42P01 "relation \\"missing\\" does not exist"
      B ReadyForQuery I
      F CopyData "1\\n"
      F CopyDone
      F Query "select 1 as n"
      B RowDescription "n":int4
      B DataRow "1"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "another database is answered at once": `
      F Query "copy otherdb.public.c from stdin"
      B ErrorResponse ERROR 0A000 "cross-database references are not implemented: \\"otherdb.public.c\\""
      B ReadyForQuery I
    `,
    "CopyData, CopyDone and CopyFail without a COPY": `
      F CopyData "1\\n"
      F CopyDone
      F CopyFail "what"
      F Query "select 1 as n"
      F CopyDone
      B RowDescription "n":int4
      B DataRow "1"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "in a transaction that is undone": `
      F Query "begin"
      F Query "copy c from stdin"
      B CommandComplete "BEGIN"
      B ReadyForQuery T
      B CopyInResponse 0 [0,0]
      F CopyData "1\\tone\\n"
      F CopyDone
      F Query "select count(*) from c"
      F Query "rollback"
      F Query "select count(*) from c"
      B CommandComplete "COPY 1"
      B ReadyForQuery T
      B RowDescription "count":int8
      B DataRow "1"
      B CommandComplete "SELECT 1"
      B ReadyForQuery T
      B CommandComplete "ROLLBACK"
      B ReadyForQuery I
      B RowDescription "count":int8
      B DataRow "0"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "in a failed transaction it is refused at once": `
      F Query "begin"
      F Query "select 1/0"
      F Query "copy c from stdin"
      B CommandComplete "BEGIN"
      B ReadyForQuery T
      B ErrorResponse ERROR 22012 "division by zero"
      B ReadyForQuery E
      B ErrorResponse ERROR 25P02 "current transaction is aborted, commands ignored until end of transaction block"
      B ReadyForQuery E
      F CopyData "1\\tone\\n"
      F CopyDone
      F Query "rollback"
      B CommandComplete "ROLLBACK"
      B ReadyForQuery I
    `,
    "SQL that only mentions it": `
      F Query "select 'copy c from stdin' as t, $$copy c from stdin$$ as u -- copy c from stdin"
      B RowDescription "t":text "u":text
      B DataRow "copy c from stdin" "copy c from stdin"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "another message while data is expected": `
      F Query "copy c from stdin"
      B CopyInResponse 0 [0,0]
      F CopyData "1\\tone\\n"
      F Query "select 1"
      B ErrorResponse ERROR 08P01 "unexpected message type 0x51 during COPY from stdin"
      B ErrorResponse FATAL 08P01 "terminating connection because protocol synchronization was lost"
      B (the connection ended)
    `,
    "in a string of several statements": `
      F Query "select 1 as n; copy c from stdin"
      B RowDescription "n":int4
      B DataRow "1"
      B CommandComplete "SELECT 1"
      B CopyInResponse 0 [0,0]
      F CopyData "1\\tone\\n"
      F CopyDone
      B CommandComplete "COPY 1"
      B ReadyForQuery I
      F Query "copy c from stdin; select 1 as n"
      B CopyInResponse 0 [0,0]
      F CopyFail "no"
      B ErrorResponse ERROR 57014 "COPY from stdin failed: no"
      B ReadyForQuery I
      F Query "copy c (n) from stdin; select count(*) from c"
      B CopyInResponse 0 [0]
      F CopyData "2\\n"
      F CopyDone
      B CommandComplete "COPY 1"
      B RowDescription "count":int8
      B DataRow "2"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
  },
});

golden("COPY to the client", {
  setup: `create table c(n int, t text); insert into c values (1, 'one'), (2, null)`,
  conversations: {
    "text, and a query": `
      F Query "copy c to stdout"
      B CopyOutResponse 0 [0,0]
      B CopyData "1\\tone\\n"
      B CopyData "2\\t\\\\N\\n"
      B CopyDone
      B CommandComplete "COPY 2"
      B ReadyForQuery I
      F Query "copy (select n + 1 from c order by n) to stdout with (format csv, header)"
      B CopyOutResponse 0 [0]
      B CopyData "?column?\\n"
      B CopyData "2\\n"
      B CopyData "3\\n"
      B CopyDone
      B CommandComplete "COPY 2"
      B ReadyForQuery I
    `,
    "an error in the middle": `
      F Query "copy (select 1 / (2 - n) from generate_series(1, 2) n) to stdout"
      B CopyOutResponse 0 [0]
      B CopyData "1\\n"
      B ErrorResponse ERROR 22012 "division by zero"
      B ReadyForQuery I
    `,
    "in a pipeline": `
      F Parse "" "copy c (n) to stdout"
      F Bind "" ""
      F Describe P ""
      F Execute "" 0
      F Sync
      B ParseComplete
      B BindComplete
      B NoData
      B CopyOutResponse 0 [0]
      B CopyData "1\\n"
      B CopyData "2\\n"
      B CopyDone
      B CommandComplete "COPY 2"
      B ReadyForQuery I
    `,
    "several statements in one string": `
      F Query "copy c (n) to stdout; select 1 as n"
      B CopyOutResponse 0 [0]
      B CopyData "1\\n"
      B CopyData "2\\n"
      B CopyDone
      B CommandComplete "COPY 2"
      B RowDescription "n":int4
      B DataRow "1"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
  },
});
