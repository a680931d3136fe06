/**
 * Clients that go on asking while something else happens.
 *
 * Owns: their connections and the check of every answer. Does not own: what else happens.
 * Invariant: their connections are closed when `whileBusy` settles, and one wrong answer rejects it.
 */
import pg from "pg";

/** What `whileBusy` resolves with. */
export interface Busy<T> {
  readonly result: T;
  /** Right answers that the clients got in the meantime. */
  readonly answers: number;
}

/** Runs `work` while `count` clients send queries with parameters, one after the other, and check each answer. */
export async function whileBusy<T>(url: string, count: number, work: () => Promise<T>): Promise<Busy<T>> {
  let over = false;
  let answers = 0;
  const ask = async (client: pg.Client, me: number): Promise<void> => {
    for (let n = 0; !over; n++) {
      const { rows } = await client.query("select $1::int * 1000 + $2::int as sum, $3::text as tag", [me, n, `c${me}`]);
      if (rows[0]?.sum !== me * 1000 + n || rows[0]?.tag !== `c${me}`) {
        throw new Error(`client ${me} asked for ${n} and got ${JSON.stringify(rows)}`);
      }
      answers++;
    }
  };
  const clients = Array.from({ length: count }, () => new pg.Client({ connectionString: url }));
  try {
    await Promise.all(clients.map((client) => client.connect()));
    const asking = Promise.all(clients.map(ask));
    // A wrong answer must not wait for the end of the work.
    const result = await Promise.race([work(), asking.then(() => new Promise<never>(() => {}))]);
    over = true;
    await asking;
    return { result, answers };
  } finally {
    over = true;
    await Promise.allSettled(clients.map((client) => client.end()));
  }
}
