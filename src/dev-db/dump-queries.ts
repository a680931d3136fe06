/**
 * Changes to pg_dump's queries on their way to the server.
 *
 * Owns: the changes, by the text of pg_dump 18's queries. Does not own: passing the messages on (`dump-thread.ts`).
 * Invariant: a query whose text is not known here reaches the server unchanged.
 */
import { encodeMessage } from "../wire/frontend.ts";

const headBytes = 5;
const query = "Q".charCodeAt(0);
const savepoint = "SAVEPOINT pg_dump_locks";

/** A column option for internal use: servers refuse `ALTER TABLE … SET (pg_attver = …)`. */
const columnOptions = "array_to_string(a.attoptions, ', ')";
const columnOptionsToDump =
  "array_to_string(array(SELECT o FROM pg_catalog.unnest(a.attoptions) AS o WHERE o NOT LIKE 'pg_attver=%'), ', ')";

/**
 * Changes a batch of whole messages. With `locksLittle` a table is locked only while its rows are read: the locks of all tables would not
 * fit into the server's lock table.
 */
export function changeQueries(batch: Buffer, locksLittle: boolean): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < batch.length; ) {
    const end = at + 1 + batch.readInt32BE(at + 1);
    const message = batch.subarray(at, end);
    parts.push(message[0] === query ? changeQuery(message, locksLittle) : message);
    at = end;
  }
  return Buffer.concat(parts);
}

function changeQuery(message: Buffer, locksLittle: boolean): Buffer {
  const sql = message.toString("utf8", headBytes, message.length - 1);
  const changed = changeSql(sql, locksLittle);
  return changed === sql ? message : encodeMessage("Q", changed);
}

function changeSql(sql: string, locksLittle: boolean): string {
  // Each replacement gets one command's answer, like the query that pg_dump sent.
  if (locksLittle && /^LOCK TABLE /.test(sql)) return savepoint;
  if (locksLittle && /^CLOSE _pg_dump_cursor$/.test(sql)) return `ROLLBACK TO ${savepoint}`;
  return sql.replace(columnOptions, columnOptionsToDump);
}
