/** Clients of any server: for one statement, or for a test. */
import pg from "pg";
import { onTestFinished } from "vitest";

/** Runs a statement by a client of its own; the values of its rows, one behind the other. */
export async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client(url);
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query({ text: sql, rowMode: "array" })).rows.flat();
  } finally {
    await client.end();
  }
}

/** A client for the running test, which ends with it; that of its server is no error. */
export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client(url);
  client.on("error", () => {});
  onTestFinished(() => client.end().catch(() => {}));
  await client.connect();
  return client;
}
