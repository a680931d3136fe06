/** An application in a process of its own: HTTP, a pool, and no idea of who calls. Prints its port. */
import { createServer } from "node:http";
import pg from "pg";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });

async function add() {
  const client = await pool.connect();
  try {
    await client.query("begin");
    const { rows } = await client.query("select count(*)::int as n from jobs where state = 'new'");
    if (rows[0].n > 1)
      await client.query("update jobs set state = 'taken' where id = (select max(id) from jobs where state = 'new')");
    await client.query("commit");
  } finally {
    client.release();
  }
}

const server = createServer((_, response) => {
  add().then(
    () => response.end("ok"),
    () => response.writeHead(500).end(),
  );
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
process.stdin.on("end", () => process.exit()).resume();
