/**
 * SQL on a server, each time by a connection of its own.
 *
 * Owns: the connections, which are short: nobody can copy a database that somebody is connected to. Does not own: what is asked.
 */
import { executeSql } from "../../engine/execute-sql.ts";
import type { StatementResult } from "../../wire/query-results.ts";
import { type ClientAddress, connectionUrl } from "../address.ts";
import { ServerClient } from "../server-client.ts";

/** Connects to a database of a server, and hangs up behind `use`. */
export async function withClient<T>(
  address: ClientAddress,
  database: string,
  use: (client: ServerClient) => Promise<T>,
): Promise<T> {
  const client = await ServerClient.connect(connectionUrl({ ...address, database }));
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

/** Runs a query string there. */
export function runIn(address: ClientAddress, database: string, sql: string): Promise<StatementResult[]> {
  return withClient(address, database, (client) => executeSql(client, sql));
}

/** The rows of the last statement of a query string. */
export async function rowsOf(
  address: ClientAddress,
  database: string,
  sql: string,
): Promise<readonly (readonly (string | null)[])[]> {
  return (await runIn(address, database, sql)).at(-1)?.rows ?? [];
}
