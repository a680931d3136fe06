/** Golden conversations: the simple query protocol. */
import { golden } from "../support/golden-suite.ts";

golden("simple queries", {
  setup: "create table q(id int primary key, name text)",
  conversations: {
    "a row, nothing, and an empty string": `
      F Query "select 1 as a, 'x'::text as b, null::int as c"
      B RowDescription "a":int4 "b":text "c":int4
      B DataRow "1" "x" NULL
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
      F Query "select 1 where false"
      B RowDescription "?column?":int4
      B CommandComplete "SELECT 0"
      B ReadyForQuery I
      F Query ""
      B EmptyQueryResponse
      B ReadyForQuery I
    `,
    "an error, and on": `
      F Query "select 1/0"
      B ErrorResponse ERROR 22012 "division by zero"
      B ReadyForQuery I
      F Query "selec"
      B ErrorResponse ERROR 42601 "syntax error at or near \\"selec\\""
      B ReadyForQuery I
      F Query "select 'still here' as a"
      B RowDescription "a":text
      B DataRow "still here"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "several statements in one string, as one transaction": `
      F Query "insert into q values (1, 'a'); select name from q; delete from q; select 2 as b"
      B CommandComplete "INSERT 0 1"
      B RowDescription "name":text
      B DataRow "a"
      B CommandComplete "SELECT 1"
      B CommandComplete "DELETE 1"
      B RowDescription "b":int4
      B DataRow "2"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
      F Query "insert into q values (2, 'b'); select 1/0; insert into q values (3, 'c')"
      B CommandComplete "INSERT 0 1"
      B ErrorResponse ERROR 22012 "division by zero"
      B ReadyForQuery I
      F Query "select count(*) from q"
      B RowDescription "count":int8
      B DataRow "0"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "a transaction, a failed one, and a warning": `
      F Query "begin"
      B CommandComplete "BEGIN"
      B ReadyForQuery T
      F Query "select 1/0"
      B ErrorResponse ERROR 22012 "division by zero"
      B ReadyForQuery E
      F Query "select 1"
      B ErrorResponse ERROR 25P02 "current transaction is aborted, commands ignored until end of transaction block"
      B ReadyForQuery E
      F Query "commit"
      B CommandComplete "ROLLBACK"
      B ReadyForQuery I
      F Query "commit"
      B NoticeResponse WARNING 25P01 "there is no transaction in progress"
      B CommandComplete "COMMIT"
      B ReadyForQuery I
    `,
    "several Query messages without waiting": `
      F Query "begin"
      F Query "insert into q values (9, 'z')"
      F Query "select name from q"
      F Query "rollback"
      F Query "select name from q"
      B CommandComplete "BEGIN"
      B ReadyForQuery T
      B CommandComplete "INSERT 0 1"
      B ReadyForQuery T
      B RowDescription "name":text
      B DataRow "z"
      B CommandComplete "SELECT 1"
      B ReadyForQuery T
      B CommandComplete "ROLLBACK"
      B ReadyForQuery I
      B RowDescription "name":text
      B CommandComplete "SELECT 0"
      B ReadyForQuery I
    `,
    "a setting that the client is told of": `
      F Query "set timezone to 'Europe/Paris'"
      B CommandComplete "SET"
      B ParameterStatus "TimeZone" "Europe/Paris"
      B ReadyForQuery I
      F Query "set timezone to 'UTC'"
      B CommandComplete "SET"
      B ParameterStatus "TimeZone" "UTC"
      B ReadyForQuery I
    `,
  },
});
