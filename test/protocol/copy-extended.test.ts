/** Golden conversations: COPY from the client in the extended query protocol. */
import { golden } from "../support/golden-suite.ts";

golden("COPY from the client, extended", {
  setup: "create table c(n int, t text)",
  reset: "truncate c",
  conversations: {
    "as tokio-postgres sends it: Sync behind Execute, and again behind CopyDone": `
      F Parse "s0" "copy c from stdin"
      F Describe S "s0"
      F Sync
      B ParseComplete
      B ParameterDescription
      B NoData
      B ReadyForQuery I
      F Bind "" "s0"
      F Execute "" 0
      F Sync
      B BindComplete
      B CopyInResponse 0 [0,0]
      F CopyData "1\\tone\\n2\\t"
      F CopyData "two\\n"
      F CopyDone
      F Sync
      B CommandComplete "COPY 2"
      B ReadyForQuery I
      F Close S "s0"
      F Sync
      F Query "select count(*) from c"
      B CloseComplete
      B ReadyForQuery I
      B RowDescription "count":int8
      B DataRow "2"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "as libpq and pgx send it: no Sync before the data": `
      F Parse "" "copy c (n) from stdin with (format csv)"
      F Bind "" ""
      F Describe P ""
      F Execute "" 0
      F Flush
      B ParseComplete
      B BindComplete
      B NoData
      B CopyInResponse 0 [0]
      F CopyData "5\\n"
      F CopyDone
      F Sync
      B CommandComplete "COPY 1"
      B ReadyForQuery I
    `,
    "everything at once, twice in one pipeline": `
      F Parse "s" "copy c (n) from stdin"
      F Bind "" "s"
      F Execute "" 0
      F CopyData "1\\n"
      F CopyDone
      F Bind "" "s"
      F Execute "" 0
      F CopyData "2\\n"
      F CopyDone
      F Parse "" "select count(*) from c"
      F Bind "" ""
      F Execute "" 0
      F Sync
      B ParseComplete
      B BindComplete
      B CopyInResponse 0 [0]
      B CommandComplete "COPY 1"
      B BindComplete
      B CopyInResponse 0 [0]
      B CommandComplete "COPY 1"
      B ParseComplete
      B BindComplete
      B DataRow "2"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "behind other work in the pipeline, which a CopyFail undoes": `
      F Parse "" "insert into c values (1, 'x')"
      F Bind "" ""
      F Execute "" 0
      F Parse "" "copy c from stdin"
      F Bind "" ""
      F Execute "" 0
      F Flush
      B ParseComplete
      B BindComplete
      B CommandComplete "INSERT 0 1"
      B ParseComplete
      B BindComplete
      B CopyInResponse 0 [0,0]
      F CopyData "2\\ty\\n"
      F CopyFail "no"
      F Parse "" "insert into c values (3, 'z')"
      F Bind "" ""
      F Execute "" 0
      F Sync
      F Query "select count(*) from c"
      B ErrorResponse ERROR 57014 "COPY from stdin failed: no"
      B ReadyForQuery I
      B RowDescription "count":int8
      B DataRow "0"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "bad data skips to the Sync": `
      F Parse "" "copy c from stdin"
      F Bind "" ""
      F Execute "" 0
      F Flush
      B ParseComplete
      B BindComplete
      B CopyInResponse 0 [0,0]
      F CopyData "x\\ty\\n"
      F CopyDone
      F Parse "" "select 1 as n"
      F Bind "" ""
      F Execute "" 0
      F Sync
      B ErrorResponse ERROR 22P02 "invalid input syntax for type integer: \\"x\\""
      B ReadyForQuery I
    `,
    "a missing table is answered at once, and the pipeline skips to its Sync": `
      F Parse "" "copy missing from stdin"
      F Bind "" ""
      F Execute "" 0
      F Sync
      B ParseComplete
      B BindComplete
      B ErrorResponse ERROR 42P01 "relation \\"missing\\" does not exist"
      B ReadyForQuery I
      F Parse "" "copy otherdb.public.c from stdin"
      F Bind "" ""
      F Execute "" 0
      F Parse "" "select 1 as n"
      F Sync
      B ParseComplete
      B BindComplete
      B ErrorResponse ERROR 0A000 "cross-database references are not implemented: \\"otherdb.public.c\\""
      B ReadyForQuery I
      F Parse "" "select 2 as n"
      F Bind "" ""
      F Execute "" 0
      F Sync
      B ParseComplete
      B BindComplete
      B DataRow "2"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "in a transaction, failed and not": `
      F Query "begin"
      B CommandComplete "BEGIN"
      B ReadyForQuery T
      F Parse "s" "copy c (n) from stdin"
      F Bind "" "s"
      F Execute "" 0
      F CopyData "1\\n"
      F CopyDone
      F Sync
      B ParseComplete
      B BindComplete
      B CopyInResponse 0 [0]
      B CommandComplete "COPY 1"
      B ReadyForQuery T
      F Query "selec"
      B ErrorResponse ERROR 42601 "syntax error at or near \\"selec\\""
      B ReadyForQuery E
      F Bind "" "s"
      F Execute "" 0
      F Sync
      B ErrorResponse ERROR 25P02 "current transaction is aborted, commands ignored until end of transaction block"
      B ReadyForQuery E
      F Query "rollback"
      B CommandComplete "ROLLBACK"
      B ReadyForQuery I
    `,
    "behind the ROLLBACK of a failed transaction, in one pipeline": `
      F Query "begin"
      F Query "selec"
      B CommandComplete "BEGIN"
      B ReadyForQuery T
      B ErrorResponse ERROR 42601 "syntax error at or near \\"selec\\""
      B ReadyForQuery E
      F Parse "" "rollback"
      F Bind "" ""
      F Execute "" 0
      F Parse "" "copy c (n) from stdin"
      F Bind "" ""
      F Execute "" 0
      F CopyData "1\\n"
      F CopyDone
      F Sync
      B ParseComplete
      B BindComplete
      B CommandComplete "ROLLBACK"
      B ParseComplete
      B BindComplete
      B CopyInResponse 0 [0]
      B CommandComplete "COPY 1"
      B ReadyForQuery I
    `,
    "a portal that was closed, and one that has run": `
      F Parse "s" "copy c (n) from stdin"
      F Bind "p" "s"
      F Close P "p"
      F Execute "p" 0
      F Sync
      B ParseComplete
      B BindComplete
      B CloseComplete
      B ErrorResponse ERROR 34000 "portal \\"p\\" does not exist"
      B ReadyForQuery I
      F Bind "" "s"
      F Execute "" 0
      F CopyData "1\\n"
      F CopyDone
      F Execute "" 0
      F Sync
      B BindComplete
      B CopyInResponse 0 [0]
      B CommandComplete "COPY 1"
      B ErrorResponse ERROR 55000 "portal \\"\\" cannot be run"
      B ReadyForQuery I
    `,
    "a Bind that fails leaves no COPY behind": `
      F Parse "s" "copy c (n) from stdin"
      F Bind "" "s" "a value too many"
      F Execute "" 0
      F Sync
      B ParseComplete
      B ErrorResponse ERROR 08P01 "bind message supplies 1 parameters, but prepared statement \\"s\\" requires 0"
      B ReadyForQuery I
      F Execute "" 0
      F Sync
      B ErrorResponse ERROR 34000 "portal \\"\\" does not exist"
      B ReadyForQuery I
    `,
    "a Query while data is expected": `
      F Parse "" "copy c from stdin"
      F Bind "" ""
      F Execute "" 0
      F Sync
      B ParseComplete
      B BindComplete
      B CopyInResponse 0 [0,0]
      F Query "select 1"
      B ErrorResponse ERROR 08P01 "unexpected message type 0x51 during COPY from stdin"
      B ErrorResponse FATAL 08P01 "terminating connection because protocol synchronization was lost"
      B (the connection ended)
    `,
  },
});
