/** Golden conversations: what an error does to a pipeline, and pipelines that end in unusual ways. */
import { golden } from "../support/golden-suite.ts";

golden("pipelines", {
  setup: "create table p(n int)",
  conversations: {
    "an error skips to the Sync, and what was done is undone": `
      F Parse "" "insert into p values (1)"
      F Bind "" ""
      F Execute "" 0
      F Parse "" "select 1/0"
      F Bind "" ""
      F Execute "" 0
      F Parse "" "insert into p values (2)"
      F Bind "" ""
      F Execute "" 0
      F Sync
      F Parse "" "select count(*) from p"
      F Bind "" ""
      F Execute "" 0
      F Sync
      B ParseComplete
      B BindComplete
      B CommandComplete "INSERT 0 1"
      B ParseComplete
      B ErrorResponse ERROR 22012 "division by zero"
      B ReadyForQuery I
      B ParseComplete
      B BindComplete
      B DataRow "0"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "a skip that lasts over several messages, and a Sync that has more behind it": `
      F Parse "" "selec"
      F Flush
      B ErrorResponse ERROR 42601 "syntax error at or near \\"selec\\""
      F Parse "" "select 1 as n"
      F Query "select 2 as n"
      F CopyDone
      F Sync
      F Parse "" "select 3 as n"
      F Bind "" ""
      F Execute "" 0
      F Sync
      B ReadyForQuery I
      B ParseComplete
      B BindComplete
      B DataRow "3"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "a statement that failed to parse, and the same name again": `
      F Parse "s1" "selec"
      F Bind "" "s1"
      F Sync
      F Parse "s1" "select 4 as n"
      F Bind "" "s1"
      F Execute "" 0
      F Sync
      B ErrorResponse ERROR 42601 "syntax error at or near \\"selec\\""
      B ReadyForQuery I
      B ParseComplete
      B BindComplete
      B DataRow "4"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
      F Bind "" "s1"
      F Execute "" 0
      F Sync
      B BindComplete
      B DataRow "4"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "a statement that is closed or deallocated and made again in one go": `
      F Parse "s1" "select 1 as n"
      F Close S "s1"
      F Parse "s1" "select 2 as n"
      F Sync
      F Query "deallocate s1"
      F Parse "s1" "select 3 as n"
      F Bind "" "s1"
      F Execute "" 0
      F Sync
      F Query "deallocate all"
      F Parse "s1" "select 4 as n"
      F Sync
      B ParseComplete
      B CloseComplete
      B ParseComplete
      B ReadyForQuery I
      B CommandComplete "DEALLOCATE"
      B ReadyForQuery I
      B ParseComplete
      B BindComplete
      B DataRow "3"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
      B CommandComplete "DEALLOCATE ALL"
      B ReadyForQuery I
      B ParseComplete
      B ReadyForQuery I
      F Bind "" "s1"
      F Execute "" 0
      F Sync
      B BindComplete
      B DataRow "4"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "DEALLOCATE in the extended protocol": `
      F Parse "s1" "select 1 as n"
      F Parse "" "deallocate s1"
      F Bind "" ""
      F Execute "" 0
      F Sync
      B ParseComplete
      B ParseComplete
      B BindComplete
      B CommandComplete "DEALLOCATE"
      B ReadyForQuery I
      F Bind "" "s1"
      F Sync
      B ErrorResponse ERROR 26000 "prepared statement \\"s1\\" does not exist"
      B ReadyForQuery I
    `,
    "a DEALLOCATE that fails, and one that is skipped, take nothing away": `
      F Parse "s1" "select 1 as n"
      F Sync
      F Query "begin"
      F Query "select 1/0"
      F Query "deallocate s1"
      F Query "rollback"
      B ParseComplete
      B ReadyForQuery I
      B CommandComplete "BEGIN"
      B ReadyForQuery T
      B ErrorResponse ERROR 22012 "division by zero"
      B ReadyForQuery E
      B ErrorResponse ERROR 25P02 "current transaction is aborted, commands ignored until end of transaction block"
      B ReadyForQuery E
      B CommandComplete "ROLLBACK"
      B ReadyForQuery I
      F Parse "" "selec"
      F Query "deallocate s1"
      F Sync
      F Bind "" "s1"
      F Execute "" 0
      F Sync
      B ErrorResponse ERROR 42601 "syntax error at or near \\"selec\\""
      B ReadyForQuery I
      B BindComplete
      B DataRow "1"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "a Query in an open pipeline runs at once": `
      F Parse "s1" "select 1 as n"
      F Query "select 2 as n"
      F Bind "" "s1"
      F Execute "" 0
      F Sync
      B ParseComplete
      B RowDescription "n":int4
      B DataRow "2"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
      B BindComplete
      B DataRow "1"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    "a transaction inside a pipeline": `
      F Parse "" "begin"
      F Bind "" ""
      F Execute "" 0
      F Parse "" "insert into p values (3)"
      F Bind "" ""
      F Execute "" 0
      F Sync
      B ParseComplete
      B BindComplete
      B CommandComplete "BEGIN"
      B ParseComplete
      B BindComplete
      B CommandComplete "INSERT 0 1"
      B ReadyForQuery T
      F Parse "" "rollback"
      F Bind "" ""
      F Execute "" 0
      F Sync
      B ParseComplete
      B BindComplete
      B CommandComplete "ROLLBACK"
      B ReadyForQuery I
    `,
    "messages with too many or too few bytes are errors of their pipeline": `
      F Bytes hex 480000000878787878
      F Parse "" "select 1 as n"
      F Sync
      B ErrorResponse ERROR 08P01 "invalid message format"
      B ReadyForQuery I
      F Bytes hex 420000000500
      F Sync
      B ErrorResponse ERROR 08P01 "invalid string in message"
      B ReadyForQuery I
      F Bytes hex 4400000007587800
      F Bytes hex 5300000004
      B ErrorResponse ERROR 08P01 "invalid DESCRIBE message subtype 88"
      B ReadyForQuery I
      F Bytes hex 5300000006aaaa
      B ErrorResponse ERROR 08P01 "invalid message format"
      B ReadyForQuery I
      F Bytes hex 510000000773656c
      B ErrorResponse ERROR 08P01 "invalid string in message"
      B ReadyForQuery I
      F Query "select 5 as n"
      B RowDescription "n":int4
      B DataRow "5"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
    // The Query ends in no command of its own, and leaves PostgreSQL in a transaction block that the next one finds.
    "a Query behind an Execute, in an open pipeline": `
      F Parse "" "select 1 as n"
      F Bind "" ""
      F Execute "" 0
      F Query "select 2 as n"
      F Sync
      B ParseComplete
      B BindComplete
      B DataRow "1"
      B CommandComplete "SELECT 1"
      B RowDescription "n":int4
      B DataRow "2"
      B CommandComplete "SELECT 1"
      B ReadyForQuery T
      B ReadyForQuery I
      F Query "select 3 as n"
      B ErrorResponse ERROR XX000 "StartTransactionCommand: unexpected state STARTED"
      B ReadyForQuery I
      F Query "select 4 as n"
      B RowDescription "n":int4
      B DataRow "4"
      B CommandComplete "SELECT 1"
      B ReadyForQuery I
    `,
  },
});
