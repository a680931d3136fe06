/**
 * What each row of the load does: how many clients, what they send, what they must get.
 *
 * Owns: the SQL, the steps of a cycle and the expected answers. Does not own: sending and counting (`load-client.ts`).
 * Invariant: a client's numbers are its own, so that another client's answer is seen to be wrong; no two clients update
 * one row, so that a server with real row locks does not wait where a server with one session could not.
 */

import { leastNumber, type NumberedBatch, prepare, prepared, simple, unprepared } from "./batches.ts";
import type { RowName } from "./catalogue.ts";

/** One batch and the answer that it must get. */
export interface Step {
  readonly bytes: Uint8Array;
  readonly rows: number;
  /** The first column of the first row, if it is known. */
  readonly value: number | undefined;
  readonly status: "I" | "T";
}

/** The load of one client. */
export interface ClientLoad {
  /** Batches that are sent once, before the clock starts. */
  readonly prepare: readonly Uint8Array[];
  /** The steps of the n-th operation; each is sent when the one before was answered. */
  cycle(n: number): readonly Step[];
}

/** A row that is a load of clients with batches. */
export interface Workload {
  readonly clients: number;
  /** Operations that a client has under way at a time. */
  readonly inFlight: number;
  client(index: number): ClientLoad;
}

/** Brings the tables into their first state. One session runs it before each cell. */
export const setup: readonly Uint8Array[] = [
  simple("rollback"),
  simple(
    "drop table if exists bench_item, bench_account;" +
      "create table bench_item (id bigint generated always as identity primary key, tag int not null, note text not null);" +
      "create table bench_account (id int primary key, stamp int not null);" +
      "insert into bench_account select i, 0 from generate_series(0, 7) i",
  ),
];

const selectSql = "select $1::int4 as n";
const insertSql = "insert into bench_item (tag, note) values ($1, 'a note of a usual length') returning tag";

/** The load of a row; `undefined` for the rows that are measured in another way. */
export function workloadOf(row: RowName): Workload | undefined {
  switch (row) {
    case "unprepared":
      return { clients: 1, inFlight: 1, client: (index) => single(index, unprepared(selectSql)) };
    case "prepared":
      return {
        clients: 1,
        inFlight: 1,
        client: (index) => single(index, prepared("bench"), [prepare("bench", selectSql)]),
      };
    case "in-flight":
      return { clients: 1, inFlight: 20, client: (index) => single(index, unprepared(selectSql)) };
    case "insert":
      return { clients: 8, inFlight: 1, client: (index) => single(index, unprepared(insertSql)) };
    case "transactions":
      return { clients: 8, inFlight: 1, client: transactions };
    case "10mb":
      return { clients: 1, inFlight: 1, client: tenMegabytes };
    default:
      return undefined;
  }
}

function single(index: number, batch: NumberedBatch, first: Uint8Array[] = []): ClientLoad {
  return { prepare: first, cycle: (n) => [numberedStep(batch, index, n, "I")] };
}

function transactions(index: number): ClientLoad {
  const update = unprepared(`update bench_account set stamp = $1 where id = ${index} returning stamp`);
  const insert = unprepared(insertSql);
  const begin: Step = { bytes: simple("begin"), rows: 0, value: undefined, status: "T" };
  const commit: Step = { bytes: simple("commit"), rows: 0, value: undefined, status: "I" };
  return {
    prepare: [],
    cycle: (n) => [begin, numberedStep(update, index, n, "T"), numberedStep(insert, index, n, "T"), commit],
  };
}

function tenMegabytes(): ClientLoad {
  const bytes = simple("select repeat('x', 1000) from generate_series(1, 10000)");
  const step: Step = { bytes, rows: 10_000, value: undefined, status: "I" };
  return { prepare: [], cycle: () => [step] };
}

function numberedStep(batch: NumberedBatch, index: number, n: number, status: "I" | "T"): Step {
  const number = leastNumber + index * 1_000_000 + (n % 1_000_000);
  return { bytes: batch.stamp(number), rows: 1, value: number, status };
}
