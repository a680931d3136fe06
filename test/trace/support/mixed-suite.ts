/**
 * Traffic of node-postgres, postgres.js and a raw client: whatever the protocol allows.
 *
 * Owns: the conversation; each step waits for its answer, so that it is the same each time. Does not own: the server.
 */
import pg from "pg";
import postgres from "postgres";
import { expect } from "vitest";
import { message, WireClient } from "../../support/wire-client.ts";

/** Whatever the protocol allows, of three clients at once. */
export async function mixedSuite(port: number): Promise<void> {
  const url = `postgresql://postgres:postgres@127.0.0.1:${port}/postgres`;
  const sql = postgres(url, { max: 2, onnotice: () => {} });
  const client = new pg.Client({ connectionString: url });
  const raw = await WireClient.login({ port });
  try {
    await client.connect();
    await sql`create table t (id int primary key, note text unique deferrable initially deferred)`;
    await sql`insert into t select g, 'note ' || g from generate_series(1, 200) g`;
    expect(await sql`select count(*)::int as n from t`).toEqual([{ n: 200 }]);
    // A constraint that fails at COMMIT, an error inside of a transaction, savepoints, chains.
    await expect(client.query("insert into t values (201, 'note 1')")).rejects.toThrow(/unique/);
    await client.query("begin");
    await client.query("savepoint a");
    await expect(client.query("select 1/0")).rejects.toThrow(/zero/);
    await client.query("rollback to a");
    await client.query("commit and chain");
    await client.query("commit");
    await client.query({ name: "kept", text: "select $1::text", values: ["x"] });
    await client.query("deallocate all");
    await client.query("set search_path to pg_catalog, public; select set_config('my.own', 'value of mine', false)");
    await client.query("show search_path; select current_setting('my.own')");
    await client.query("listen jobs");
    await sql`notify jobs, 'one'`;
    await client.query("select pg_sleep(0.01)");
    await sql.begin(async (own) => {
      await own`declare c cursor for select * from t`;
      await own`fetch 10 from c`;
    });
    for await (const rows of sql`select * from t`.cursor(50)) expect(rows.length).toBe(50);
    await raw.query("do $$ begin raise notice 'seen'; end $$; select 1; select 2");
    raw.send(message.query("copy t from stdin"));
    await raw.until("G");
    raw.send(message.copyData("301\tcopied\n"), message.copyDone());
    await raw.until("Z");
    raw.send(message.parse("", "copy t (id) from stdin"), message.bind("", ""), message.execute(""), message.sync());
    await raw.until("G");
    raw.send(message.copyFail("no"), message.sync());
    await raw.until("Z");
    await raw.query("copy t to stdout");
    // A pipeline with an error in the middle, and another one behind it.
    raw.send(
      message.parse("", "select 1/0"),
      message.bind("", ""),
      message.execute(""),
      message.parse("never", "select 1"),
    );
    raw.send(
      message.sync(),
      message.bind("", "never"),
      message.sync(),
      message.parse("never", "select 1"),
      message.sync(),
    );
    await raw.until("Z", 3);
    raw.send(
      message.parse("", "select * from t"),
      message.bind("p", ""),
      message.execute("p", 5),
      message.execute("p", 5),
    );
    raw.send(message.describe("S", ""), message.close("P", "p"), message.sync());
    await raw.until("Z");
  } finally {
    await Promise.all([sql.end(), client.end(), raw.end()]);
  }
}
