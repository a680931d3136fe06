/** Golden conversations: statements, portals and pipelines of the extended query protocol. */
import { golden } from "../support/golden-suite.ts";

golden("the extended protocol", {
  conversations: {
    "Parse, Bind, Describe, Execute, Sync": `
      F Parse "" "select $1::int4 + 1 as n, $2::text as t"
      F Bind "" "" "41" NULL
      F Describe P ""
      F Execute "" 0
      F Sync
      B ParseComplete
      B BindComplete
      B RowDescription "n":int4 "t":text
      B DataRow "42" NULL
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "a named statement, described first, used twice, and closed": `
      F Parse "s1" "select $1::text as t"
      F Describe S "s1"
      F Sync
      B ParseComplete
      B ParameterDescription text
      B RowDescription "t":text
      B ReadyForQuery I
      F Bind "" "s1" "one"
      F Execute "" 0
      F Bind "" "s1" "two"
      F Execute "" 0
      F Sync
      B BindComplete
      B DataRow "one"
      B CommandComplete "SELECT 1"
      B BindComplete
      B DataRow "two"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
      F Close S "s1"
      F Bind "" "s1" "three"
      F Sync
      B CloseComplete
      B ErrorResponse ERROR 26000 "prepared statement \\"s1\\" does not exist"
      B ReadyForQuery I
    `,
    "the unnamed statement across a Sync, until a Query drops it": `
      F Parse "" "select 7 as n"
      F Sync
      B ParseComplete
      B ReadyForQuery I
      F Describe S ""
      F Bind "" ""
      F Execute "" 0
      F Sync
      B ParameterDescription
      B RowDescription "n":int4
      B BindComplete
      B DataRow "7"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
      F Query "select 8 as n"
      B RowDescription "n":int4
      B DataRow "8"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
      F Bind "" ""
      F Sync
      B ErrorResponse ERROR 26000 "unnamed prepared statement does not exist"
      B ReadyForQuery I
    `,
    "a name that is taken, a name that nobody has": `
      F Parse "s1" "select 1 as n"
      F Parse "s1" "select 2 as n"
      F Sync
      B ParseComplete
      B ErrorResponse ERROR 42P05 "prepared statement \\"s1\\" already exists"
      B ReadyForQuery I
      F Describe S "s2"
      F Sync
      B ErrorResponse ERROR 26000 "prepared statement \\"s2\\" does not exist"
      B ReadyForQuery I
      F Describe P "p"
      F Sync
      B ErrorResponse ERROR 34000 "portal \\"p\\" does not exist"
      B ReadyForQuery I
      F Close S "s2"
      F Close P "p"
      F Bind "" "s1"
      F Execute "" 0
      F Sync
      B CloseComplete
      B CloseComplete
      B BindComplete
      B DataRow "1"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "statements without rows, and without text": `
      F Parse "" "set extra_float_digits to 1"
      F Describe S ""
      F Bind "" ""
      F Describe P ""
      F Execute "" 0
      F Parse "" ""
      F Bind "" ""
      F Describe P ""
      F Execute "" 0
      F Sync
      B ParseComplete
      B ParameterDescription
      B NoData
      B BindComplete
      B NoData
      B CommandComplete "SET"
      B ParseComplete
      B BindComplete
      B NoData
      B EmptyQueryResponse
      B ReadyForQuery I
    `,
    "Flush without Sync": `
      F Parse "" "select $1::int4 as n"
      F Describe S ""
      F Flush
      B ParseComplete
      B ParameterDescription int4
      B RowDescription "n":int4
      F Bind "" "" "5"
      F Execute "" 0
      F Flush
      B BindComplete
      B DataRow "5"
      B CommandComplete "SELECT 1"
      F Sync
      B ReadyForQuery I
    `,
    "nothing but Sync": `
      F Sync
      F Sync
      B ReadyForQuery I
      B ReadyForQuery I
      F Flush
      F Sync
      B ReadyForQuery I
    `,
  },
});

golden("portals", {
  setup: "create table numbers as select n from generate_series(1, 5) n",
  conversations: {
    "row limits in a transaction": `
      F Query "begin"
      B CommandComplete "BEGIN"
      B ReadyForQuery T
      F Parse "" "select n from numbers order by n"
      F Bind "p" ""
      F Execute "p" 2
      F Sync
      B ParseComplete
      B BindComplete
      B DataRow "1"
      B DataRow "2"
      B PortalSuspended
      B ReadyForQuery T
      F Execute "p" 2
      F Sync
      B DataRow "3"
      B DataRow "4"
      B PortalSuspended
      B ReadyForQuery T
      F Execute "p" 2
      F Execute "p" 2
      F Close P "p"
      F Sync
      B DataRow "5"
      B CommandComplete "SELECT 1"
      B CommandComplete "SELECT 0"
      B CloseComplete
      B ReadyForQuery T
      F Query "commit"
      B CommandComplete "COMMIT"
      B ReadyForQuery I
    `,
    "two portals in one pipeline, and none behind its Sync": `
      F Parse "s" "select n from numbers order by n"
      F Bind "a" "s"
      F Bind "b" "s"
      F Execute "a" 1
      F Execute "b" 3
      F Execute "a" 1
      F Sync
      B ParseComplete
      B BindComplete
      B BindComplete
      B DataRow "1"
      B PortalSuspended
      B DataRow "1"
      B DataRow "2"
      B DataRow "3"
      B PortalSuspended
      B DataRow "2"
      B PortalSuspended
      B ReadyForQuery I
      F Execute "a" 1
      F Sync
      B ErrorResponse ERROR 34000 "portal \\"a\\" does not exist"
      B ReadyForQuery I
    `,
    "a portal that is taken": `
      F Parse "" "select 1 as n"
      F Bind "p" ""
      F Bind "p" ""
      F Sync
      B ParseComplete
      B BindComplete
      B ErrorResponse ERROR 42P03 "cursor \\"p\\" already exists"
      B ReadyForQuery I
    `,
    "a cursor of SQL, read through the protocol": `
      F Query "begin; declare c cursor for select n from numbers order by n"
      B CommandComplete "BEGIN"
      B CommandComplete "DECLARE CURSOR"
      B ReadyForQuery T
      F Describe P "c"
      F Execute "c" 2
      F Sync
      B RowDescription "n":int4
      B DataRow "1"
      B DataRow "2"
      B PortalSuspended
      B ReadyForQuery T
      F Query "fetch 1 from c; rollback"
      B RowDescription "n":int4
      B DataRow "3"
      B CommandComplete "FETCH 1"
      B CommandComplete "ROLLBACK"
      B ReadyForQuery I
    `,
  },
});
