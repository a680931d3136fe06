/**
 * A process that claims ports and holds them until its input ends.
 *
 * Owns: one claim. Does not own: what the ports are for.
 * Usage: `node claim-until-told.ts COUNT FIRST LAST START_AT`; prints the ports as a JSON list.
 */
import { once } from "node:events";
import { claimPorts } from "../../src/testing/index.ts";

const [count, first, last, startAt] = process.argv.slice(2).map(Number) as [number, number, number, number];
const claim = await claimPorts(count, { range: { first, last }, startAt });
process.stdout.write(`${JSON.stringify(claim.ports)}\n`);
process.stdin.resume();
await once(process.stdin, "end");
await claim.release();
