/**
 * Where PostgreSQL keeps its snapshots, for the part of the rewrite that finds what is allocated once in a process' life.
 *
 * Owns: the addresses. Does not own: what is done with them (`../snapshot-arrays.ts`).
 * Mirrors storage/ipc/procarray.c, GetSnapshotData, and utils/time/snapmgr.c, whose three static variables it fills.
 */
import { Op } from "../wasm/instructions.ts";
import { type Locator, only } from "./locate.ts";

/** Offsets in `SnapshotData` (utils/snapshot.h). */
export const Snapshot = { xip: 12, subxip: 20 } as const;
/** `maxProcs` in `ProcArrayStruct` (storage/ipc/procarray.c). */
export const maxProcs = 4;

/** Addresses of static variables. */
export interface SnapshotVariables {
  /** `CurrentSnapshotData`, `SecondarySnapshotData` and `CatalogSnapshotData` (utils/time/snapmgr.c). */
  readonly snapshots: readonly number[];
  /** `procArray` (storage/ipc/procarray.c): a pointer. */
  readonly procArray: number;
  /** `MaxBackends` and `max_prepared_xacts`. */
  readonly counts: readonly [number, number];
}

/** How many snapshots there are of the kind. */
const snapshotCount = 3;

/** See the head of the file. Throws when GetSnapshotData does not allocate as it does in PostgreSQL 18. */
export function locateSnapshots(locator: Locator): SnapshotVariables {
  const { module } = locator;
  const getSnapshotData = locator.functionByStrings("GetSnapshotData");
  const malloc = { op: Op.call, operand: module.exportedFunction("malloc") };
  const code = locator.code(getSnapshotData);
  // It begins with `arrayP = procArray`.
  const [first, second, third] = code;
  if (first?.op !== Op.i32Const || second?.op !== Op.i32Load || third?.op !== Op.localSet) {
    throw new Error("GetSnapshotData of PGlite's WebAssembly does not begin with procArray");
  }
  const snapshot = { op: Op.localGet, operand: 0 };
  const array = { op: Op.localGet, operand: third.operand };
  // If `snapshot->xip` is null, it becomes malloc of `arrayP->maxProcs` numbers,
  const xip = [
    snapshot,
    Op.i32Load,
    Op.i32EqualZero,
    Op.if,
    snapshot,
    array,
    Op.i32Load,
    Op.i32Const,
    Op.i32Shl,
    malloc,
  ];
  const one = sequence(locator, getSnapshotData, [...xip, Op.localTee, Op.i32Store]);
  // and `snapshot->subxip` malloc of 65 numbers for each of MaxBackends and max_prepared_xacts.
  const counts = [Op.i32Const, Op.i32Load, Op.i32Const, Op.i32Load, Op.i32Add, Op.i32Const, i32Multiply, malloc];
  const other = sequence(locator, getSnapshotData, [snapshot, ...counts, Op.localTee, Op.i32Store]);
  const body = module.body(getSnapshotData);
  // Behind the operation code and the alignment.
  const offsets = [one[1]!, one[6]!, one.at(-1)!, other.at(-1)!].map(({ offset }) => body[offset + 2]);
  const isKnown = [Snapshot.xip, maxProcs, Snapshot.xip, Snapshot.subxip].every((offset, at) => offsets[at] === offset);
  if (!isKnown || one[7]!.operand !== 2 || other[6]!.operand !== arrayFactor) {
    throw new Error("GetSnapshotData of PGlite's WebAssembly does not allocate as that of PostgreSQL 18");
  }
  return {
    snapshots: locateStatics(locator, getSnapshotData),
    procArray: first.operand,
    counts: [other[1]!.operand, other[3]!.operand],
  };
}

const i32Multiply = 0x6c;
/** What `subxip` has for each backend, in bytes: PGPROC_MAX_CACHED_SUBXIDS + 1 numbers (storage/proc.h). */
export const arrayFactor = 65 * 4;

/** The instructions of the one sequence `ops` of a function. */
function sequence(locator: Locator, index: number, ops: Parameters<Locator["matches"]>[2]) {
  const code = locator.code(index);
  const starts = [...code.keys()].filter((at) => locator.matches(code, at, ops));
  const start = only(starts, "the arrays that GetSnapshotData allocates");
  return code.slice(start, start + ops.length);
}

/** What GetSnapshotData is called with where that is a constant. */
function locateStatics(locator: Locator, getSnapshotData: number): number[] {
  const call = { op: Op.call, operand: getSnapshotData };
  const callers = locator.functionsCalling(getSnapshotData);
  const found = callers.flatMap((index) => {
    const code = locator.code(index);
    return code.flatMap(({ operand }, at) => (locator.matches(code, at, [Op.i32Const, call]) ? [operand] : []));
  });
  const statics = [...new Set(found)].sort((a, b) => a - b);
  if (statics.length !== snapshotCount) {
    throw new Error(`PGlite's WebAssembly has ${statics.length} static snapshots, not ${snapshotCount}`);
  }
  return statics;
}
