/**
 * A process that explores until it is killed; it says so when a schedule has begun, and never lets its actors end.
 *
 * Owns: nothing. Does not own: the server.
 */
import pg from "pg";
import { explore } from "../../dist/explore.js";

const url = process.env.DATABASE_URL;
const pool = new pg.Pool({ connectionString: url });
const update = async () => {
  const client = await pool.connect();
  await client.query("begin");
  await client.query("update jobs set state = 'mine' where id = 1");
  process.stdout.write("holds a lock\n");
  await new Promise(() => {});
};
await explore({
  db: { url },
  actors: { ann: update },
  reset: () => Promise.resolve(),
  invariant: () => true,
  silenceMs: 60_000,
});
