/**
 * Pools of real drivers that share the server.
 *
 * Owns: that every row of every query is the one that was asked for, with the way of splitting that is the driver's own.
 * postgres.js describes first (Parse, Describe, Flush; then Bind, Execute, Sync); pg sends a pipeline in one write, which
 * the socket here cuts in two, as a network may. Does not own: other drivers and tools (`test/clients/`).
 */
import { Socket } from "node:net";
import pg from "pg";
import postgres from "postgres";
import { expect, it } from "vitest";
import { closePostgres, type EndableClient } from "../../src/testing/index.ts";
import { caseServer } from "../support/case-server.ts";
import { Random, runSeed } from "../support/random.ts";
import { describeTargets } from "../support/servers.ts";
import { within } from "../support/wait-until.ts";

const poolSize = 6;
const queriesPerClient = 40;

type Row = Record<string, unknown>;
type Run = (sql: string, values: string[]) => Promise<Row[]>;

/** What came of the queries of a pool. */
interface Outcome {
  right: number;
  /** Rows that answer somebody else's query, without an error. */
  wrongRows: number;
  errors: number;
  unanswered: number;
}

/** A socket that makes two segments of each write. */
class SegmentingSocket extends Socket {
  readonly #random: Random;

  constructor(random: Random) {
    super();
    this.#random = random;
    this.setNoDelay(true);
  }

  override _write(bytes: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const at = 1 + this.#random.below(Math.max(1, bytes.length - 1));
    super._write(bytes.subarray(0, at), encoding, (error) => {
      if (error || at >= bytes.length) done(error);
      // After one turn of the event loop the server may still read both segments at once.
      else setImmediate(() => setImmediate(() => super._write(bytes.subarray(at), encoding, done)));
    });
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), "buffer" as BufferEncoding, done);
  }
}

describeTargets("a pool of six on %s", (target) => {
  const server = caseServer(target);
  const address = () => ({ host: server.running.host, port: server.running.port });

  it("of postgres.js, unprepared, gets its own rows", async () => {
    const sql = postgres({ ...address(), max: poolSize, user: "postgres", database: "postgres", prepare: false });
    const outcome = await storm(sql, async (text, values) => [...(await sql.unsafe<Row[]>(text, values))]);
    verify(outcome);
  });

  it(`of pg, whose pipelines come in two segments, gets its own rows (SEED=${runSeed})`, async () => {
    const random = new Random(runSeed);
    const stream = () => new SegmentingSocket(random);
    const pool = new pg.Pool({ ...address(), max: poolSize, user: "postgres", database: "postgres", stream });
    pool.on("error", () => {});
    const outcome = await storm(pool, async (text, values) => (await pool.query<Row>(text, values)).rows);
    verify(outcome);
  });

  function verify(outcome: Outcome): void {
    const total = poolSize * queriesPerClient;
    if (target === "ours") {
      expect(outcome).toEqual({ right: total, wrongRows: 0, errors: 0, unanswered: 0 });
    } else {
      // Where answers are mixed up in a pool's first exchanges already, nobody gets any.
      expect(outcome.wrongRows + outcome.unanswered, JSON.stringify(outcome)).toBeGreaterThan(0);
      expect(outcome.right, JSON.stringify(outcome)).toBeLessThan(total * 0.9);
    }
  }

  /** Six at once, one and five parameters in turn; a client gives up at the first query that is not answered. */
  async function storm(pool: EndableClient, run: Run): Promise<Outcome> {
    const outcome: Outcome = { right: 0, wrongRows: 0, errors: 0, unanswered: 0 };
    const client = async (number: number): Promise<void> => {
      for (let query = 0; query < queriesPerClient; query++) {
        const values = [`client ${number} query ${query}`, `${number}`, `${query}`, "x", "y"];
        const given = query % 2 === 0 ? values.slice(0, 1) : values;
        const columns = given.map((_, index) => `$${index + 1}::text as v${index}`).join(", ");
        const answer = await within(
          server.limitMs,
          run(`select 'client ${number}' as owner, ${columns}`, given).catch((error: unknown) => error as Error),
        );
        if (answer === undefined) {
          outcome.unanswered += queriesPerClient - query;
          return;
        }
        if (answer instanceof Error) outcome.errors++;
        else if (isRight(answer, `client ${number}`, given)) outcome.right++;
        else outcome.wrongRows++;
      }
    };
    await Promise.all(Array.from({ length: poolSize }, (_, index) => client(index + 1)));
    await closePostgres(pool, { timeoutMs: server.limitMs });
    return outcome;
  }
});

function isRight(rows: Row[], owner: string, values: string[]): boolean {
  const [row] = rows;
  return rows.length === 1 && row!.owner === owner && values.every((value, index) => row![`v${index}`] === value);
}
