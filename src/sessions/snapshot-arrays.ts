/**
 * The arrays of PostgreSQL's snapshots, which every process allocates once and keeps.
 *
 * Owns: allocating them before the fork. Does not own: where they belong (`rewrite/snapshots.ts`).
 * Why: they have room for all transactions of all backends, three quarters of a megabyte with a thousand connections, and
 * nearly nothing of it is ever written to. In the heap of the fork their addresses are taken once, not by every session.
 */

import type { Machine } from "./machine.ts";
import type { Located } from "./rewrite/postgres.ts";
import { arrayFactor, maxProcs, Snapshot } from "./rewrite/snapshots.ts";

const transactionIdBytes = 4;

/** Allocates as GetSnapshotData does when it finds none; for a process that has taken no snapshot yet. */
export function allocateSnapshotArrays(machine: Machine, { addresses }: Located): void {
  const { snapshots, procArray, counts } = addresses.snapshots;
  const word = (address: number) => machine.words[address >> 2]!;
  const malloc = machine.function("malloc");
  const xipBytes = word(word(procArray) + maxProcs) * transactionIdBytes;
  const subxipBytes = (word(counts[0]) + word(counts[1])) * arrayFactor;
  for (const snapshot of snapshots) {
    const isUnused = word(snapshot + Snapshot.xip) === 0 && word(snapshot + Snapshot.subxip) === 0;
    if (!isUnused) throw new Error("PostgreSQL has taken a snapshot before its start");
    machine.setWord(snapshot + Snapshot.xip, malloc(xipBytes));
    machine.setWord(snapshot + Snapshot.subxip, malloc(subxipBytes));
  }
}
