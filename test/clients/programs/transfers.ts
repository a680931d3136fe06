/**
 * A service that moves money between accounts, with a pool of pg or of postgres.js: `URL DRIVER-SEED`.
 *
 * Owns: five transfers at a time, which lock their two accounts in random order and begin again after a deadlock or a
 * serialization failure; session state under the names that the other service uses, and what it sees of it. Keeps its
 * pool open until its standard input ends, and prints one line of JSON then.
 */
import pg from "pg";
import postgres from "postgres";
import { Random } from "../../support/random.ts";

interface Connection {
  query(text: string, values?: (number | string)[]): Promise<readonly Record<string, unknown>[]>;
  release(): void;
}

interface Pool {
  take(): Promise<Connection>;
  end(): Promise<void>;
}

const [url, name] = process.argv.slice(2) as [string, string];
const [service, seed] = name.split("-") as [string, string];
const pool = service === "pg" ? poolOfPg() : poolOfPostgresJs();
const random = new Random(Number(seed));
const seen = { done: 0, refused: 0, deadlocks: 0, conflicts: 0, strange: [] as string[] };

/** What a session looks like after `takeSession`. */
const own = {
  service,
  application: `service of ${service}`,
  prepared: `prepare mine as select '${service}' as service`,
  columns: service === "pg" ? "cents integer" : "words text",
};
const fresh = { service: "", application: "", prepared: "", columns: "" };

const gate = await takeSession();
await gate.query("select pg_advisory_lock_shared(1)");
await gate.query("select pg_advisory_unlock_shared(1)");
gate.release();
await Promise.all(Array.from({ length: 5 }, () => transferOften(20)));
const finish = await takeSession();
await finish.query("insert into finished values ($1)", [service]);
finish.release();
await new Promise((resolve) => process.stdin.once("end", resolve).resume());
await pool.end();
process.stdout.write(`${JSON.stringify(seen)}\n`);

async function transferOften(count: number): Promise<void> {
  for (let n = 0; n < count; ) {
    const from = random.below(8);
    const to = (from + 1 + random.below(7)) % 8;
    const isolation = random.oneIn(3) ? "repeatable read" : "read committed";
    const outcome = await transfer(isolation, from, to, 1 + random.below(400));
    seen[outcome]++;
    if (outcome === "done" || outcome === "refused") n++;
  }
}

async function transfer(isolation: string, from: number, to: number, cents: number) {
  const connection = await takeSession();
  const { query } = connection;
  try {
    await query(`begin isolation level ${isolation}`);
    await query(`insert into pg_temp.note values ($1)`, [service === "pg" ? cents : `${cents} cents`]);
    for (const id of [from, to]) await query("select cents from account where id = $1 for update", [id]);
    await query("update account set cents = cents - $2 where id = $1", [from, cents]);
    await query("update account set cents = cents + $2 where id = $1", [to, cents]);
    await query("insert into ledger values ($1, $2, $3, $4)", [service, from, to, cents]);
    const [note] = await query("select count(*)::int as count, max(note::text) as text from pg_temp.note");
    if (note?.count !== 1 || !String(note.text).includes(`${cents}`)) seen.strange.push(JSON.stringify(note));
    await query("commit");
    return "done";
  } catch (error) {
    await query("rollback");
    const { code } = error as { code?: string };
    if (code === "23514") return "refused";
    if (code === "40P01") return "deadlocks";
    if (code === "40001") return "conflicts";
    throw error;
  } finally {
    connection.release();
  }
}

/** A connection whose session has the state of this service; before, it had it already or none at all. */
async function takeSession(): Promise<Connection> {
  const connection = await pool.take();
  const { query } = connection;
  const [found] = await query(
    `select coalesce(current_setting('app.service', true), '') as service,
       current_setting('application_name') as application,
       (select coalesce(string_agg(statement, '; '), '') from pg_prepared_statements where name = 'mine') as prepared,
       (select coalesce(string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', '), '') from pg_attribute
         where attrelid = to_regclass('pg_temp.note') and attnum > 0) as columns`,
  );
  const state = JSON.stringify({
    ...found,
    application: found?.application === own.application ? own.application : "",
  });
  if (state === JSON.stringify(own)) return connection;
  if (state !== JSON.stringify(fresh)) seen.strange.push(JSON.stringify(found));
  await query(`set app.service = '${service}'`);
  await query(`set application_name = '${own.application}'`);
  await query(own.prepared);
  await query(`create temporary table note (${own.columns}) on commit delete rows`);
  return connection;
}

function poolOfPg(): Pool {
  const clients = new pg.Pool({ connectionString: url, max: 5 });
  const texts: string[] = [];
  return {
    async take() {
      const client = await clients.connect();
      return {
        async query(text, values = []) {
          if (!texts.includes(text)) texts.push(text);
          // Prepared in the session, under a name for each text.
          return (await client.query({ name: `s${texts.indexOf(text)}`, text, values })).rows;
        },
        release: () => client.release(),
      };
    },
    end: () => clients.end(),
  };
}

function poolOfPostgresJs(): Pool {
  const sql = postgres(url, { max: 5, onnotice: () => {} });
  return {
    async take() {
      const reserved = await sql.reserve();
      return {
        query: (text, values = []) => reserved.unsafe(text, values, { prepare: true }),
        release: () => reserved.release(),
      };
    },
    end: () => sql.end(),
  };
}
