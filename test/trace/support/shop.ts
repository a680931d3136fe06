/**
 * The traffic of a small shop on a server that records: what a trace of real drivers looks like.
 *
 * Owns: the conversation; who waits for whom is forced, so that it is the same each time. Does not own: the server.
 */
import pg from "pg";
import postgres from "postgres";
import { waitUntil } from "../../support/wait-until.ts";

/** A text that a page must not take for markup. */
export const hostile = `</script><img src=x onerror="document.title='broken'"><!-- $& $' \u2028`;

/** Buyers that wait for each other's locks, one that fails, one that rolls back. */
export async function shop(url: string): Promise<void> {
  const connect = async (name: string): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: url, application_name: name });
    await client.connect();
    return client;
  };
  const [ann, bob, cleo] = [await connect("ann"), await connect("bob"), await connect("cleo")];
  const sql = postgres(url, { max: 1, connection: { application_name: "reports" }, onnotice: () => {} });
  await sql`create table seats (id int primary key, taken_by text)`;
  await sql`create table sold (seat int references seats, note text)`;
  await sql`insert into seats select g from generate_series(1, 20) g`;
  const blocked = (client: pg.Client) => {
    const pid = (client as unknown as { processID: number }).processID;
    return waitUntil("a client waits for a lock", async () => {
      const { rows } = await cleo.query("select cardinality(pg_blocking_pids($1)) as n", [pid]);
      return rows[0].n > 0;
    });
  };
  await ann.query("begin");
  await ann.query("select * from seats where id = $1", [1]);
  await ann.query("update seats set taken_by = 'ann' where id = 1");
  await bob.query("begin isolation level repeatable read");
  await bob.query("select * from seats where id = $1", [1]);
  const refused = bob.query("update seats set taken_by = 'bob' where id = $1", [1]).catch((error: Error) => error);
  await blocked(bob);
  await sql`select count(*) from seats where taken_by is null`;
  await ann.query("insert into sold values (1, $1)", [hostile]);
  await ann.query("commit");
  await refused;
  await bob.query("rollback");
  await cleo.query("begin; lock table sold in access exclusive mode");
  const waits = ann.query("insert into sold values (2, 'ann again')");
  await blocked(ann);
  await cleo.query(`insert into sold values (99, ${pg.escapeLiteral(hostile)})`).catch(() => undefined);
  await cleo.query("rollback");
  await waits;
  await sql.begin(async (own) => {
    for (let id = 3; id < 9; id++) await own`update seats set taken_by = 'reports' where id = ${id}`;
  });
  await bob.query("selec typo").catch(() => undefined);
  await Promise.all([ann.end(), bob.end(), cleo.end(), sql.end()]);
}
