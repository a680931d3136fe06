/**
 * The load process of one target: takes cells from its parent, answers with their results.
 *
 * Owns: nothing but the exchange with the parent, and the PGlite of the target that has no server. Every target has a
 * load process of its own, so that none shares an event loop, a heap or compiled code with another's.
 * Invariant: it ends when its parent does.
 */
import type { PGlite } from "@electric-sql/pglite";
import { simple } from "./batches.ts";
import type { RowName } from "./catalogue.ts";
import { type CellResult, runCell } from "./cell.ts";
import { EngineLinks } from "./engine-link.ts";
import { type Endpoint, exchange, type Link, openSocketLink } from "./link.ts";
import type { Strictness } from "./load-client.ts";
import { familyCpuMs } from "./process-usage.ts";

/** A cell to run. Without an endpoint the load goes to a PGlite in the load process. */
export interface CellOrder {
  readonly row: RowName;
  readonly seconds: number;
  readonly endpoint: Endpoint | undefined;
  /** The process whose CPU time counts: the load process has its own to do with the clients. */
  readonly serverPid: number | undefined;
  readonly strictness: Strictness;
}

/** What comes back for each order. */
export type CellReply = { readonly result: CellResult } | { readonly problem: string };

let engine: PGlite | undefined;

async function opener(endpoint: Endpoint | undefined): Promise<() => Promise<Link>> {
  if (endpoint !== undefined) return () => openSocketLink(endpoint);
  if (engine === undefined) {
    const { PGlite } = await import("@electric-sql/pglite");
    engine = await PGlite.create();
    // The first batch of an engine is slow; a server target has had its first one when it said that it was ready.
    await exchange(new EngineLinks(engine).open(), simple("select 1"));
  }
  const links = new EngineLinks(engine);
  return async () => links.open();
}

async function run(order: CellOrder): Promise<CellReply> {
  try {
    const { row, seconds, endpoint, serverPid, strictness } = order;
    const cpuMs = () => (serverPid === undefined ? undefined : familyCpuMs(serverPid));
    return { result: await runCell(row, seconds, { open: await opener(endpoint), strictness, cpuMs }) };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

process.on("disconnect", () => process.exit(0));
process.on("message", (order: CellOrder) => {
  void run(order).then((reply) => process.send?.(reply));
});
