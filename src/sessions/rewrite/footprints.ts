/**
 * The part of the rewrite that tells what a statement reads, writes and locks.
 *
 * Owns: in which functions of PostgreSQL that is told. Does not own: what is made of it (`../footprints.ts`).
 * How: PostgreSQL calls its functions for predicate locks for every read and write, at every isolation level, and looks only in them whether
 * the transaction is serializable: gaps and empty ranges are included, and no plan has to be understood.
 * Invariant: while nobody wants to know it costs reading a global.
 */
import { unsigned } from "../wasm/bytes.ts";
import { Op } from "../wasm/instructions.ts";
import { call, callOnEntry, constant, get, ifTrue } from "./code.ts";
import { Hook } from "./hooks.ts";
import { type Locator, only } from "./locate.ts";

/** The exported global: 1 while somebody wants to know. */
export const watchedGlobal = "sessions_watched";

/** See the head of the file. */
export function rewriteFootprints(locator: Locator, hook: number): void {
  const { module } = locator;
  const watched = module.addGlobal(watchedGlobal);
  const tell = (first: number, second: number, kind: number): number[][] => [
    ...[get(first), get(second), constant(kind), call(hook), [Op.drop]],
  ];
  const onEntry = (index: number, ...code: number[][]): void =>
    callOnEntry(module, index, [[Op.globalGet, ...unsigned(watched)], ...ifTrue(code)]);

  const { tid, page, relation, out } = locatePredicateLocks(locator);
  onEntry(locateHotSearch(locator, out), ...tell(1, 0, Hook.visitTid));
  onEntry(tid, ...tell(2, 0, Hook.footprintSnapshot), ...tell(0, 1, Hook.readTid));
  onEntry(out, ...tell(4, 1, Hook.footprintSnapshot), ...tell(1, 2, Hook.examineTuple));
  onEntry(page, ...tell(2, 0, Hook.footprintSnapshot), ...tell(0, 1, Hook.readPage));
  onEntry(relation, ...tell(1, 0, Hook.footprintSnapshot), ...tell(0, 0, Hook.readRelation));
  // storage/lmgr/predicate.c, CheckForSerializableConflictIn. Verified by a message that no other function has.
  const reason = "Reason code: Canceled on identification as a pivot, during conflict in checking.";
  onEntry(locator.functionByStrings(reason), ...tell(0, 1, Hook.writeTid), ...tell(0, 2, Hook.writePage));
  // access/heap/heapam.c: also what then waits, or fails. The first has a message that no other function has.
  onEntry(locator.functionByStrings("attempted to update invisible tuple"), ...tell(0, 1, Hook.writeTid));
  onEntry(module.exportedFunction("heap_delete"), ...tell(0, 1, Hook.writeTid));
  const lockTuple = module.exportedFunction("heap_lock_tuple");
  onEntry(lockTuple, ...tell(0, 1, Hook.lockTuple), ...tell(0, 3, Hook.lockTupleMode));
  // storage/lmgr/lock.c: LockAcquire only calls LockAcquireExtended.
  const [acquire] = locator.calls(module.exportedFunction("LockAcquire"));
  if (acquire === undefined) throw new Error("LockAcquire of PGlite's WebAssembly calls nothing");
  onEntry(acquire, ...tell(0, 1, Hook.lock));
  onEntry(module.exportedFunction("LockRelease"), ...tell(0, 1, Hook.unlock));
  // commands/sequence.c: do_setval, by its message.
  const setval = 'setval: value %lld is out of bounds for sequence "%s" (%lld..%lld)';
  onEntry(module.exportedFunction("nextval_internal"), ...tell(0, 0, Hook.sequence));
  onEntry(locator.functionByStrings(setval), ...tell(0, 0, Hook.sequence));
  // utils/time/snapmgr.c.
  const nothing = constant(0);
  const snapshot = [nothing, nothing, constant(Hook.takeSnapshot), call(hook), [Op.drop]];
  onEntry(module.exportedFunction("GetTransactionSnapshot"), ...snapshot);
}

/** access/heap/heapam.c, heap_hot_search_buffer: of what calls HeapCheckForSerializableConflictOut, it has seven parameters and a result. */
function locateHotSearch(locator: Locator, out: number): number {
  const { module } = locator;
  const found = locator.functionsCalling(out).filter((index) => {
    const { parameters, results } = module.signatureOf(index);
    return parameters === 7 && results === 1;
  });
  return only(found, "heap_hot_search_buffer, which calls HeapCheckForSerializableConflictOut");
}

/**
 * storage/lmgr/predicate.c: of what heap_fetch calls without a result, PredicateLockTID has four parameters and
 * HeapCheckForSerializableConflictOut five. The last thing that the former calls is PredicateLockAcquire, whose other callers are
 * PredicateLockPage with three parameters and PredicateLockRelation with two.
 */
function locatePredicateLocks(locator: Locator) {
  const { module } = locator;
  const callees = [...new Set(locator.calls(module.exportedFunction("heap_fetch")))];
  const takes = (index: number, count: number): boolean => {
    if (index < module.importedFunctions) return false;
    const { parameters, results } = module.signatureOf(index);
    return parameters === count && results === 0;
  };
  const callee = (count: number, name: string) =>
    only(
      callees.filter((index) => takes(index, count)),
      name,
    );
  const tid = callee(4, "PredicateLockTID, called by heap_fetch");
  const acquire = locator.calls(tid).at(-1) ?? 0;
  const callers = locator.functionsCalling(acquire);
  const caller = (count: number, name: string) =>
    only(
      callers.filter((index) => takes(index, count)),
      name,
    );
  return {
    tid,
    out: callee(5, "HeapCheckForSerializableConflictOut, called by heap_fetch"),
    page: caller(3, "PredicateLockPage, which calls PredicateLockAcquire"),
    relation: caller(2, "PredicateLockRelation, which calls PredicateLockAcquire"),
  };
}
