/**
 * What sessions read, write and lock, while somebody wants to know.
 *
 * Owns: reading PostgreSQL's structures where it tells of them. Does not own: where that is (`rewrite/footprints.ts`), what depends on
 * what (`explore/effects.ts`).
 * Invariant: what is not understood is said (`isUnknown`), never left out. Numbers of transactions are those of sessions: the same in each order.
 * Mirrors LOCKTAG (storage/locktag.h), ItemPointerData, HeapTupleData, RelationData.rd_id, XactIsoLevel.
 */
import { watchedGlobal } from "./rewrite/footprints.ts";
import { Hook } from "./rewrite/hooks.ts";

/**
 * What a session has touched. What is in a relation is named `r:OID:…`: `p` with a page, `t` with a row's place, `any` for any row of it; `r:OID`
 * is all of it. `a:…` is an advisory lock, `x:PID` a transaction, `wait` that one was waited for.
 */
export interface Footprint {
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  /** Written or read at once, for everybody: sequences. */
  readonly now: readonly string[];
  /** Rows, and the strongest LockTupleMode. */
  readonly locks: readonly (readonly [row: string, mode: number])[];
  /** Relations, and the modes as bits. */
  readonly relations: readonly (readonly [relation: number, modes: number])[];
  /** XactIsoLevel. */
  readonly isolation: number;
  readonly takesSnapshot: boolean;
  /** It has done something else, too: to the catalogs for example. */
  readonly isUnknown: boolean;
}

const relationId = 56;
const heapTupleSelf = 4;
const lockTag = { third: 8, fourth: 12, type: 14 } as const;
/** FirstNormalObjectId (access/transam.h): below are the catalogs. */
const firstUserObject = 16_384;
const invalidBlock = -1;
/** ROW EXCLUSIVE and ACCESS EXCLUSIVE (storage/lockdefs.h). A transaction has EXCLUSIVE of itself. */
const lockModes = { rowExclusive: 3, exclusive: 7, accessExclusive: 8 } as const;
const LockType = { relation: 0, extend: 1, tuple: 4, transaction: 5, speculative: 7, object: 8, advisory: 10 } as const;
/** Of more in one relation, all of it is said. */
const mostOfRelation = 500;

/** What is needed of the machine. */
interface Memory {
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  readonly exports: Readonly<Record<string, unknown>>;
  address(variable: string): number;
}

/** What one session has done. */
class Part {
  readonly reads = new Set<string>();
  readonly writes = new Set<string>();
  readonly now = new Set<string>();
  readonly locks = new Map<string, number>();
  readonly relations = new Map<number, number>();
  isolation = 0;
  takesSnapshot = false;
  isUnknown = false;
  /** Of the snapshot that is read with: one that sees what is not committed. */
  isDirty = false;
  tuple = 0;
  row = "";
  /** The page that an index pointed to, until a row is seen there. A pruned row leaves no other trace. */
  visited: string | undefined;

  /** A statement that followed an index to a removed row depends on the removal. */
  settleVisit(): void {
    if (this.visited !== undefined) this.reads.add(this.visited);
    this.visited = undefined;
  }

  toFootprint(): Footprint {
    this.settleVisit();
    return {
      reads: merged(this.reads),
      writes: merged(this.writes),
      now: [...this.now],
      locks: [...this.locks],
      relations: [...this.relations],
      isolation: this.isolation,
      takesSnapshot: this.takesSnapshot,
      isUnknown: this.isUnknown,
    };
  }
}

/** What a LOCKTAG has beside its type. */
type LockFields = readonly [first: number, second: number, third: number, fourth: number];

type Recording = Map<number, Part>;

/** See the head of the file. */
export class Footprints {
  readonly #machine: Memory;
  /** One for each who wants to know: several databases may be explored at once. */
  readonly #recordings = new Set<Recording>();
  /** Whose the transactions are. */
  readonly #owners = new Map<number, number>();

  constructor(machine: Memory) {
    this.#machine = machine;
  }

  /** From now on it is told. */
  begin(): Recording {
    const recording: Recording = new Map();
    this.#recordings.add(recording);
    this.#watch();
    return recording;
  }

  /** What has been done since `begin`, by process ids. */
  end(recording: Recording): [number, Footprint][] {
    this.#recordings.delete(recording);
    this.#watch();
    return [...recording].map(([pid, part]) => [pid, part.toFootprint()]);
  }

  /** A hook of the footprints has been called by the session that runs. */
  see(pid: number, kind: number, first: number, second: number): void {
    for (const recording of this.#recordings) {
      const part = recording.get(pid) ?? new Part();
      recording.set(pid, part);
      this.#see(pid, part, kind, first, second);
    }
  }

  #see(pid: number, part: Part, kind: number, first: number, second: number): void {
    const { words } = this.#machine;
    part.isolation = Math.max(part.isolation, words[this.#machine.address("XactIsoLevel") >> 2]!);
    if (kind === Hook.takeSnapshot) part.takesSnapshot = true;
    else if (kind === Hook.footprintSnapshot) part.isDirty = first !== 0 && words[first >> 2] !== 0;
    else if (kind === Hook.sequence) part.now.add(`r:${first}`);
    else if (kind === Hook.lock) this.#lock(pid, part, first, second);
    else if (kind === Hook.unlock) this.#unlock(part, first);
    else this.#row(part, kind, words[(first + relationId) >> 2]!, second);
  }

  /** One of a relation. */
  #row(part: Part, kind: number, relation: number, second: number): void {
    if (relation < firstUserObject) {
      if (kind === Hook.writeTid) part.isUnknown = true;
      return;
    }
    const whole = `r:${relation}`;
    const reads = part.isDirty ? part.writes : part.reads;
    if (kind === Hook.examineTuple) part.visited = undefined;
    if (kind === Hook.readRelation) reads.add(whole);
    else if (kind === Hook.readPage) reads.add(`${whole}:p${second}`);
    else if (kind === Hook.visitTid) {
      part.settleVisit();
      part.visited = `${whole}:p${this.#block(second)}`;
    } else if (kind === Hook.readTid) this.#read(reads, whole, second);
    else if (kind === Hook.examineTuple) this.#read(reads, whole, second + heapTupleSelf);
    else if (kind === Hook.writeTid) {
      part.tuple = second;
      if (second !== 0) part.writes.add(`${whole}:t${this.#tid(second)}`);
      part.writes.add(`${whole}:any`);
    } else if (kind === Hook.writePage) {
      if (second !== invalidBlock && part.tuple === 0) part.writes.add(`${whole}:p${second}`);
    } else if (kind === Hook.lockTuple) part.row = `${whole}:t${this.#tid(second + heapTupleSelf)}`;
    else if (kind === Hook.lockTupleMode) part.locks.set(part.row, Math.max(second, part.locks.get(part.row) ?? 0));
    else part.isUnknown = true;
  }

  #read(reads: Set<string>, whole: string, address: number): void {
    if (!reads.has(whole)) reads.add(`${whole}:t${this.#tid(address)}`);
  }

  #lock(pid: number, part: Part, tag: number, mode: number): void {
    const { type, fields } = this.#lockTag(tag);
    const [first, second, third, fourth] = fields;
    if (type === LockType.advisory) part.writes.add(advisoryKey(fields));
    else if (type === LockType.relation) {
      if (second >= firstUserObject) {
        part.relations.set(second, (part.relations.get(second) ?? 0) | (1 << mode));
        if (mode === lockModes.accessExclusive) part.writes.add(`r:${second}`);
      } else if (mode >= lockModes.rowExclusive) part.isUnknown = true;
    } else if (type === LockType.tuple) {
      if (second >= firstUserObject) part.writes.add(`r:${second}:t${third}.${fourth}`);
    } else if (type === LockType.transaction || type === LockType.speculative) {
      const isOwn = mode === lockModes.exclusive;
      if (isOwn) this.#owners.set(first, pid);
      else part.writes.add("wait");
      part.writes.add(`x:${this.#owners.get(first) ?? `number ${first}`}`);
    } else if (type === LockType.object) {
      // A session that begins locks its database in this mode; NOTIFY and changes of the catalogs want a stronger one.
      if (mode > lockModes.rowExclusive) part.isUnknown = true;
    } else if (type !== LockType.extend) part.isUnknown = true;
  }

  #unlock(part: Part, tag: number): void {
    const { type, fields } = this.#lockTag(tag);
    if (type === LockType.advisory) part.writes.add(advisoryKey(fields));
  }

  #lockTag(tag: number): { type: number; fields: LockFields } {
    const { words, bytes } = this.#machine;
    const fourth = bytes[tag + lockTag.fourth]! | (bytes[tag + lockTag.fourth + 1]! << 8);
    const fields = [words[tag >> 2]!, words[(tag + 4) >> 2]!, words[(tag + lockTag.third) >> 2]!, fourth] as const;
    return { type: bytes[tag + lockTag.type]!, fields };
  }

  #tid(address: number): string {
    return `${this.#block(address)}.${this.#half(address + 4)}`;
  }

  /** A block's number is in two halves, the upper one first. */
  #block(address: number): number {
    return this.#half(address) * 0x10000 + this.#half(address + 2);
  }

  #half(address: number): number {
    const { bytes } = this.#machine;
    return bytes[address]! | (bytes[address + 1]! << 8);
  }

  #watch(): void {
    (this.#machine.exports[watchedGlobal] as { value: number }).value = this.#recordings.size > 0 ? 1 : 0;
  }
}

function advisoryKey(fields: LockFields): string {
  return `a:${fields.join(".")}`;
}

/** Of what is in a relation of which all is said, nothing else is. */
function merged(keys: ReadonlySet<string>): string[] {
  const counts = new Map<string, number>();
  const wholeOf = (key: string): string | undefined => /^r:\d+/.exec(key)?.[0];
  for (const key of keys) {
    const whole = wholeOf(key);
    if (whole !== undefined) counts.set(whole, (counts.get(whole) ?? 0) + 1);
  }
  const large = new Set(
    [...counts].flatMap(([whole, count]) => (keys.has(whole) || count > mostOfRelation ? [whole] : [])),
  );
  return [...large, ...[...keys].filter((key) => !large.has(wholeOf(key) ?? ""))];
}
