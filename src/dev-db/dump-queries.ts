/**
 * What is changed in the queries of pg_dump on their way to the server.
 *
 * Owns: the changes, by the text of pg_dump 18's queries. Does not own: the messages' way (`dump-thread.ts`).
 * Invariant: a query that pg_dump writes in another way reaches the server as it is.
 */
import { encodeMessage } from "../wire/frontend.ts";

const headBytes = 5;
const query = "Q".charCodeAt(0);
const savepoint = "SAVEPOINT pg_dump_locks";

/** A column option that servers keep for themselves: `ALTER TABLE … SET (pg_attver = …)` is refused everywhere. */
const columnOptions = "array_to_string(a.attoptions, ', ')";
const columnOptionsToDump =
  "array_to_string(array(SELECT o FROM pg_catalog.unnest(a.attoptions) AS o WHERE o NOT LIKE 'pg_attver=%'), ', ')";

/**
 * Changes a batch of whole messages. With `locksLittle` tables are locked only while their rows are read: the locks of all of them would not
 * fit into the server's table of locks.
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
  // Each of these has one command as its answer, as what pg_dump has sent.
  if (locksLittle && /^LOCK TABLE /.test(sql)) return savepoint;
  if (locksLittle && /^CLOSE _pg_dump_cursor$/.test(sql)) return `ROLLBACK TO ${savepoint}`;
  return sql.replace(columnOptions, columnOptionsToDump);
}
