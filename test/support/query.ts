/** One statement to any server. */
import pg from "pg";

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
