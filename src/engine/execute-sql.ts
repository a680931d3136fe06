/**
 * SQL from inside the process, through the same bytes that a client would send.
 *
 * Owns: one simple Query against an engine and its parsed answer. Does not own: the message formats (`wire/`).
 * Invariant: the engine is held for exactly one simple query; a failing one leaves no open transaction of its own.
 */
import { copyDone, encodeCopyData, encodeQuery } from "../wire/frontend.ts";
import { readQueryResults, type StatementResult } from "../wire/query-results.ts";
import type { Engine } from "./engine.ts";

/** The part of an engine that runs SQL; a connection to any server has it, too, and so has a PGlite, which copies in one message. */
export type SqlEngine = Pick<Engine, "runExclusive" | "execProtocolRawStream"> & Partial<Pick<Engine, "copyIn">>;

/**
 * Runs a query string (one or more statements, as psql's `-c`) and returns one result per statement.
 * Throws a `DatabaseError` with PostgreSQL's fields when a statement fails.
 */
export async function executeSql(
  engine: Pick<SqlEngine, "runExclusive" | "execProtocolRawStream">,
  sql: string,
): Promise<StatementResult[]> {
  const chunks: Uint8Array[] = [];
  await engine.runExclusive(() =>
    engine.execProtocolRawStream(encodeQuery(sql), { onRawData: (data) => void chunks.push(data.slice()) }),
  );
  return readQueryResults(Buffer.concat(chunks));
}

/** Runs a COPY … FROM STDIN, which is all of the string, with its data. Throws like `executeSql`. */
export async function executeCopy(
  engine: SqlEngine,
  sql: string,
  data: AsyncIterable<Uint8Array>,
): Promise<StatementResult[]> {
  const chunks: Uint8Array[] = [];
  const take = (bytes: Uint8Array): void => void chunks.push(bytes.slice());
  await engine.runExclusive(async () => {
    if (engine.copyIn) return engine.copyIn(sql, data, take);
    const parts: Uint8Array[] = [encodeQuery(sql)];
    for await (const piece of data) parts.push(encodeCopyData(piece));
    return engine.execProtocolRawStream(Buffer.concat([...parts, copyDone]), { onRawData: take });
  });
  return readQueryResults(Buffer.concat(chunks));
}
