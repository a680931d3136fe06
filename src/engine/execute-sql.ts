/**
 * SQL from inside the process, through the same bytes that a client would send.
 *
 * Owns: one simple Query against an engine and its parsed answer. Does not own: the message formats (`wire/`).
 * Invariant: the engine is held for exactly one simple query; a failing one leaves no open transaction of its own.
 */
import { encodeCopy, encodeQuery } from "../wire/frontend.ts";
import { readQueryResults, type StatementResult } from "../wire/query-results.ts";
import type { Engine } from "./engine.ts";

/**
 * Runs a query string (one or more statements, as psql's `-c`) and returns one result per statement.
 * `copyData` is for a COPY … FROM STDIN, which is all of the string then. Throws a `DatabaseError` with PostgreSQL's fields when a statement fails.
 */
export async function executeSql(
  engine: Pick<Engine, "runExclusive" | "execProtocolRawStream">,
  sql: string,
  copyData?: string,
): Promise<StatementResult[]> {
  const chunks: Uint8Array[] = [];
  await engine.runExclusive(() =>
    engine.execProtocolRawStream(copyData === undefined ? encodeQuery(sql) : encodeCopy(sql, copyData), {
      onRawData: (data) => void chunks.push(data.slice()),
    }),
  );
  return readQueryResults(Buffer.concat(chunks));
}
