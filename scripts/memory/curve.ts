/**
 * How the memory of a server in memory goes up and down: a million rows with truncates, and databases that come and go.
 *
 * Owns: what is done, and reading the figures after each step. Does not own: what becomes of them (`curve-page.ts`).
 * Invariant: the server has ended when this has. Memory is that of Linux; elsewhere there are no figures.
 */
import postgres from "postgres";
import { startServed } from "../kill-nine/served-process.ts";
import { residentMb } from "./measure.ts";

/** Of a server at one moment. */
export interface CurvePoint {
  readonly after: string;
  /** Resident size. */
  readonly residentMb: number;
  /** Files of the WAL. */
  readonly walMb: number;
  /** What is in the database: its tables and indexes. */
  readonly dataMb: number;
}

const rowsPerStep = 50_000;
const stepsPerTruncate = 5;
const rounds = 4;
const databasesPerStep = 25;

/** Runs it all on one server; `databases` are made and dropped, one after the other. */
export async function memoryCurve(sessions: "shared" | "isolated", databases: number): Promise<CurvePoint[]> {
  const served = startServed("memory://", ["--sessions", sessions]);
  const points: CurvePoint[] = [];
  try {
    const sql = postgres(await served.ready, { max: 1, onnotice: () => {} });
    const look = async (after: string) => {
      const [wal] = await sql`select (sum(size) / 1048576)::int as mb from pg_ls_waldir()`;
      const [data] = await sql`select (pg_database_size(current_database()) / 1048576)::int as mb`;
      points.push({ after, residentMb: residentMb(served.pid, "VmRSS") ?? 0, walMb: wal?.mb, dataMb: data?.mb });
    };
    await look("the start");
    await sql`create table rows (id bigint primary key, pad text)`;
    for (let round = 0; round < rounds; round++) {
      for (let step = 0; step < stepsPerTruncate; step++) {
        const first = (round * stepsPerTruncate + step) * rowsPerStep + 1;
        await sql`insert into rows select g, repeat('x', 100) from generate_series(${first}::int, ${first + rowsPerStep - 1}::int) g`;
        await look(`${(first + rowsPerStep - 1).toLocaleString("en-US")} rows`);
      }
      await sql`truncate rows`;
      await look("a truncate");
    }
    for (let made = 1; made <= databases; made++) {
      await sql.unsafe(`create database made${made}`);
      await sql.unsafe(`drop database made${made}`);
      if (made % databasesPerStep === 0) await look(`${made} databases`);
    }
    await sql.end();
    return points;
  } finally {
    await served.kill();
  }
}
