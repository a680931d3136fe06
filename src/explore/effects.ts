/**
 * What the steps of a schedule have done to each other's data: which two of them may not change places.
 *
 * Owns: transactions as sums of steps, and the relation `areDependent`. Does not own: what a step has touched (`Footprint`), what follows for
 * the schedules (`dpor.ts`).
 * Invariant: two steps that are not dependent come to the same in both orders. What is not understood depends on everything.
 */
import type { Footprint } from "../sessions/footprints.ts";

/** XactIsoLevel. */
const Level = { repeatableRead: 2, serializable: 3 } as const;

/**
 * Statements whose effects are not all seen: those that end a transaction within a text or a routine, give back locks at a savepoint, or read with
 * a snapshot of before.
 */
const unseen =
  /\b(?:call|do(?!\s+(?:nothing|update)\b)|chain|declare|fetch|listen|unlisten|advisory_unlock_all|pg_advisory_unlock_all|discard|prepared?|execute)\b|rollback\s+(?:\w+\s+)?to\b/i;
const ends = /\b(?:commit|rollback|abort|end)\b/i;

/** So much of what is touched is told apart. With `relation` a place in a table says nothing: a reset may have moved it. */
export type Granule = "row" | "relation";

/** What a step has done. */
export class Effect {
  readonly actor: string;
  readonly sql: string;
  readonly reads = new Set<string>();
  readonly writes = new Set<string>();
  readonly now = new Set<string>();
  readonly locks = new Map<string, number>();
  readonly relations = new Map<number, number>();
  level = 0;
  isUnknown: boolean;
  takesSnapshot = false;
  /** A transaction ends with it, or fails: PostgreSQL gives back its locks with the error, a savepoint's with one under a savepoint. */
  isEnd = false;
  /** It has waited, and went on with this step. */
  wokenAt: number | undefined;
  /** Its transaction as it was behind it. */
  all = { reads: new Set<string>(), writes: new Set<string>(), relations: new Map<number, number>() };

  constructor(actor: string, sql: string) {
    this.actor = actor;
    this.sql = sql;
    this.isUnknown = unseen.test(sql);
  }

  add(footprint: Footprint, granule: Granule): void {
    const keyOf = (key: string): string => (granule === "row" ? key : (/^r:\d+/.exec(key)?.[0] ?? key));
    for (const key of footprint.reads) this.reads.add(keyOf(key));
    for (const key of footprint.writes) this.writes.add(keyOf(key));
    for (const key of footprint.now) this.now.add(key);
    for (const [row, mode] of footprint.locks) {
      if (granule === "relation") this.writes.add(keyOf(row));
      else this.locks.set(row, Math.max(mode, this.locks.get(row) ?? 0));
    }
    for (const [relation, modes] of footprint.relations) unite(this.relations, relation, modes);
    this.level = Math.max(this.level, footprint.isolation);
    if (footprint.takesSnapshot) this.takesSnapshot = true;
    if (footprint.isUnknown) this.isUnknown = true;
  }
}

/** What a connection has done since its transaction began. */
class Transaction {
  readonly reads = new Set<string>();
  readonly writes = new Set<string>();
  readonly relations = new Map<number, number>();
  level = 1;
  isUnknown = false;
  hasSnapshot = false;
  hasFailed = false;
}

/** The effects of one schedule, a step each. */
export class Effects {
  readonly steps: Effect[] = [];
  readonly #granule: Granule;
  readonly #open = new Map<number, Effect>();
  readonly #transactions = new Map<number, Transaction>();

  constructor(granule: Granule) {
    this.#granule = granule;
  }

  /** A step has been let through. */
  begin(actor: string, connection: number, sql: string): void {
    const effect = new Effect(actor, sql);
    this.steps.push(effect);
    this.#open.set(connection, effect);
  }

  /** What was touched when a connection was let through; what others did who went on then was done in that moment, too. */
  add(connection: number, footprints: readonly (readonly [number, Footprint])[], isBlocked: boolean): void {
    const effect = this.#open.get(connection);
    for (const [other, footprint] of footprints) {
      const theirs = this.#open.get(other);
      if (!theirs) continue;
      theirs.add(footprint, this.#granule);
      effect?.add(footprint, this.#granule);
    }
    if (isBlocked) effect?.writes.add("wait");
  }

  /** A step has its answer; `isSeen` unless it went on when nobody looked, or a cursor reads as of before. */
  answered(connection: number, status: "I" | "T" | "E", code: string | undefined, isSeen: boolean): void {
    const effect = this.#open.get(connection);
    if (!effect) return;
    if (effect !== this.steps.at(-1)) effect.wokenAt = this.steps.length - 1;
    const transaction = this.#transactions.get(connection) ?? new Transaction();
    this.#transactions.set(connection, transaction);
    // An empty index is read without a word: what was opened, and was not seen to be read, counts as read.
    for (const relation of effect.relations.keys()) {
      const whole = `r:${relation}`;
      const isTouched = [...effect.reads, ...effect.writes].some((key) => key === whole || key.startsWith(`${whole}:`));
      if (!isTouched) effect.reads.add(whole);
    }
    if (code === "40P01") effect.writes.add("wait");
    if (!isSeen || (status !== "I" && ends.test(effect.sql))) effect.isUnknown = true;
    transaction.isUnknown ||= effect.isUnknown;
    effect.isUnknown = transaction.isUnknown;
    for (const key of [...effect.writes, ...effect.locks.keys()]) transaction.writes.add(key);
    for (const key of effect.reads) transaction.reads.add(key);
    for (const [relation, modes] of effect.relations) unite(transaction.relations, relation, modes);
    effect.level = transaction.level = Math.max(transaction.level, effect.level);
    const isFirst = effect.takesSnapshot && !transaction.hasSnapshot;
    transaction.hasSnapshot ||= effect.takesSnapshot;
    effect.takesSnapshot = isFirst && effect.level >= Level.repeatableRead;
    effect.isEnd = status === "I" || (status === "E" && !transaction.hasFailed);
    transaction.hasFailed = status === "E";
    const { reads, writes, relations } = transaction;
    effect.all = { reads: new Set(reads), writes: new Set(writes), relations: new Map(relations) };
    if (status === "I") this.#transactions.delete(connection);
  }
}

/** Whether two steps may come to something else in the other order. */
export function areDependent(a: Effect, b: Effect): boolean {
  if (a.actor === b.actor || a.isUnknown || b.isUnknown) return true;
  if (areInConflict(a, b) || areInConflict(b, a) || doModesConflict(a.relations, b.relations)) return true;
  const isSerial = a.level === Level.serializable || b.level === Level.serializable;
  if (isSerial && (isRead(a.writes, b.reads) || isRead(b.writes, a.reads))) return true;
  return dependsOnEnd(a, b) || dependsOnEnd(b, a);
}

/** Whether `other` may find something else when `end` has ended its transaction. */
function dependsOnEnd(end: Effect, other: Effect): boolean {
  if (!end.isEnd) return false;
  const { reads, writes, relations } = end.all;
  if (doModesConflict(relations, other.relations)) return true;
  const areSerial = end.level === Level.serializable && other.level === Level.serializable;
  const doMeet = (): boolean =>
    isRead(other.writes, reads) || isRead(writes, other.all.reads) || isRead(other.all.writes, reads);
  if (areSerial && doMeet()) return true;
  if (writes.size === 0) return false;
  if (other.takesSnapshot) return true;
  if (isRead(writes, other.reads) || meet(writes, other.writes) || meet(writes, new Set(other.locks.keys())))
    return true;
  const isSerial = end.level === Level.serializable || other.level === Level.serializable;
  return isSerial && other.isEnd && (isRead(writes, other.all.reads) || isRead(other.all.writes, reads));
}

/** What both write or lock, and what is seen at once. */
function areInConflict(a: Effect, b: Effect): boolean {
  for (const key of a.now) if (b.now.has(key) || b.reads.has(key) || isWithin(key, b.writes)) return true;
  for (const key of a.writes) {
    if (isAnyRow(key)) continue;
    if (b.writes.has(key) || b.locks.has(key)) return true;
    if (isWhole(key) && (isWithin(key, b.writes) || isWithin(key, new Set(b.locks.keys())))) return true;
  }
  for (const [row, mode] of a.locks) {
    const other = b.locks.get(row);
    // LockTupleMode: KEY SHARE 0, SHARE 1, NO KEY UPDATE 2, UPDATE 3. The sum says which exclude each other.
    if (other !== undefined && mode + other >= 3) return true;
  }
  return false;
}

/** Whether what is written is read: a whole relation has all of its rows and pages, a page (of an index-only scan, too) its rows. */
function isRead(writes: ReadonlySet<string>, reads: ReadonlySet<string>): boolean {
  for (const key of writes) {
    if (reads.has(key)) return true;
    const [, whole, block] = /^(r:\d+):(?:t(\d+)\.)?/.exec(key) ?? [];
    if (whole !== undefined ? reads.has(whole) : isWhole(key) && isWithin(key, reads)) return true;
    if (block !== undefined && reads.has(`${whole}:p${block}`)) return true;
  }
  return false;
}

function meet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  for (const key of a) {
    if (isAnyRow(key)) continue;
    if (b.has(key) || (isWhole(key) && isWithin(key, b))) return true;
  }
  for (const key of b) if (isWhole(key) && isWithin(key, a)) return true;
  return false;
}

const isAnyRow = (key: string): boolean => key.endsWith(":any");
const isWhole = (key: string): boolean => /^r:\d+$/.test(key);

function isWithin(whole: string, keys: ReadonlySet<string>): boolean {
  for (const key of keys) if (key === whole || key.startsWith(`${whole}:`)) return true;
  return false;
}

/** By mode, as bits: "Table-Level Locks" in the manual. */
const conflicts = [0, 0x100, 0x180, 0x1e0, 0x1f0, 0x1d8, 0x1f8, 0x1fc, 0x1fe];

function doModesConflict(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): boolean {
  for (const [relation, modes] of a) {
    const other = b.get(relation) ?? 0;
    if (conflicts.some((mask, mode) => modes & (1 << mode) && other & mask)) return true;
  }
  return false;
}

function unite(all: Map<number, number>, relation: number, modes: number): void {
  all.set(relation, (all.get(relation) ?? 0) | modes);
}
