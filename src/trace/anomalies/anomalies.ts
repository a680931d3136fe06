/**
 * Lost updates and write skew between the transactions of a trace.
 *
 * Owns: which transactions have read what another one has then changed, and the accusation. Does not own: what one of them has
 * read and written (`transactions.ts`).
 * Invariant: it accuses two transactions only if neither order of them, one after the other, gives what they have read and left:
 * each step of that is in the trace. What it does not understand acquits.
 */
import type { Trace } from "../read/trace-reader.ts";
import { traceEvents } from "../read/traced-messages.ts";
import { type Known, type Moment, type Read, type Transaction, Transactions, type Write } from "./transactions.ts";

/** A finding. */
interface Anomaly extends Moment {
  readonly kind: "lost update" | "write skew";
  readonly connection: number;
  readonly sentence: string;
}

/** So many that have committed are remembered. */
const mostCommitted = 2000;

/** The anomalies of a trace, in the order of the commits that complete them. */
export function* findAnomalies(trace: Trace): Generator<Anomaly> {
  const lanes = new Map<number, Transactions>();
  let committed: Transaction[] = [];
  let order = 0;
  for (const event of traceEvents(trace)) {
    order++;
    if (event.kind === "dropped") {
      for (const lane of lanes.values()) lane.lose();
      committed = [];
    }
    if (event.kind === "closed") lanes.delete(event.connection);
    if (event.kind === "unreadable") lanes.get(event.connection)?.lose();
    if (event.kind !== "message") continue;
    let lane = lanes.get(event.connection);
    if (!lane) {
      lane = new Transactions(event.connection);
      lanes.set(event.connection, lane);
    }
    const ended = lane.take(event, order);
    if (!ended) continue;
    const others = committed
      .filter(({ scope, connection }) => scope === ended.scope && connection !== ended.connection)
      .map((other) => (other.namesOf === ended.namesOf ? other : strangerOf(other)));
    const found = lostUpdate(ended, others) ?? writeSkew(ended, others);
    if (found) yield found;
    committed.push(ended);
    if (committed.length > mostCommitted) committed = committed.slice(-mostCommitted / 2);
  }
}

const strangers = new WeakMap<Transaction, Transaction>();

/** One whose tables may be others of these names. */
function strangerOf(other: Transaction): Transaction {
  const known = strangers.get(other);
  if (known) return known;
  const changed = new Set([...other.changed, ...other.steps.map(({ table }) => table)]);
  const stranger = { ...other, steps: [], changed };
  strangers.set(other, stranger);
  return stranger;
}

/** It has read a value, somebody else has changed that since, and it has written over it. */
function lostUpdate(own: Transaction, others: readonly Transaction[]): Anomaly | undefined {
  if (!own.isExplicit || own.isOpaque) return undefined;
  for (const [at, write] of own.steps.entries()) {
    if (write.kind !== "write" || own.unclear.has(nameOf(write.table))) continue;
    const before = own.steps.slice(0, at);
    // Behind its first update of the row nobody else can change that.
    if (before.some((step) => step.kind === "write" && isSameRow(step, write))) continue;
    const read = before.findLast((step): step is Read => step.kind === "read" && rowOf(step, write) !== undefined);
    if (!read) continue;
    const meanwhile = others.filter(({ committed }) => committed.order > read.answered.order);
    if (meanwhile.some((other) => isUnclear(other, write))) continue;
    for (const [column, to] of write.sets) {
      const other = typeof to === "object" ? onlyWriteOf(meanwhile, write, column) : undefined;
      // Who was about to commit when it was read, or when the other one did, may have been seen or not.
      if (!other || other.by.commitAsked.order < read.answered.order) continue;
      if (other.by.committed.order > own.commitAsked.order) continue;
      if (!changes(rowOf(read, write)!, column, other.write)) continue;
      // Both say the same: something is lost only if the other one has said so of what it had read, too.
      if (isSame(other.write.sets.get(column)!, to) && !isOfRead(other, write, column)) continue;
      return lostUpdateOf(own, read, write, column, other);
    }
  }
  return undefined;
}

interface OthersWrite {
  readonly by: Transaction;
  readonly write: Write;
}

function lostUpdateOf(own: Transaction, read: Read, write: Write, column: string, last: OthersWrite): Anomaly {
  const { connection, committed } = last.by;
  const words =
    `wrote ${what(write, column)} over the value of connection ${connection}, which it had not read: ` +
    `read it at line ${read.answered.line}, connection ${connection} wrote at line ${last.write.asked.line} ` +
    `and had committed at line ${committed.line}`;
  return { kind: "lost update", connection: own.connection, sentence: words, ...write.asked };
}

/** Each of two has read what the other one has changed since. Only of those that have asked for repeatable read. */
function writeSkew(own: Transaction, others: readonly Transaction[]): Anomaly | undefined {
  if (!own.isRepeatableRead) return undefined;
  for (const other of others) {
    if (!other.isRepeatableRead || others.some((third) => third !== other && meets(third, own, other))) continue;
    const mine = unseen(own, other);
    const theirs = mine && unseen(other, own);
    if (!mine || !theirs) continue;
    const words =
      `and connection ${other.connection} have each changed what the other one had read: ` +
      `${what(mine.write, mine.column)} was read by connection ${own.connection} at line ${mine.read.answered.line} and written by ` +
      `connection ${other.connection} at line ${mine.write.asked.line}, ${what(theirs.write, theirs.column)} read by connection ` +
      `${other.connection} at line ${theirs.read.answered.line} and written by connection ${own.connection} at line ${theirs.write.asked.line}`;
    return { kind: "write skew", connection: own.connection, sentence: words, ...theirs.write.asked };
  }
  return undefined;
}

/** A third one that has changed something in the same tables at that time. */
function meets(third: Transaction, one: Transaction, two: Transaction): boolean {
  const from = Math.min(...[one, two].flatMap(({ steps }) => steps.map((step) => orderOf(step))));
  if (third.committed.order < from) return false;
  const tables = new Set([...one.steps, ...two.steps].map(({ table }) => table));
  return (
    third.steps.some(({ kind, table }) => kind === "write" && tables.has(table)) ||
    [...tables].some((table) => third.changed.has(nameOf(table)) || third.changed.has(table))
  );
}

function orderOf(step: Read | Write): number {
  return step.kind === "read" ? step.answered.order : step.asked.order;
}

interface Unseen {
  readonly read: Read;
  readonly write: Write;
  readonly column: string;
}

/** What `reader` has read before `writer` changed it. */
function unseen(reader: Transaction, writer: Transaction): Unseen | undefined {
  for (const write of writer.steps) {
    if (write.kind !== "write") continue;
    const names = [nameOf(write.table), write.table];
    if (names.some((name) => reader.unclear.has(name) || writer.unclear.has(name))) continue;
    // What it changed twice may be what it was.
    const isWritten = (step: Read | Write) => step !== write && step.kind === "write" && isSameRow(step, write);
    if (writer.steps.some(isWritten) || reader.steps.some(isWritten)) continue;
    for (const read of reader.steps) {
      if (read.kind !== "read" || read.answered.order >= writer.commitAsked.order) continue;
      const row = rowOf(read, write);
      const column = row && [...write.sets.keys()].find((name) => changes(row, name, write));
      if (column !== undefined) return { read, write, column };
    }
  }
  return undefined;
}

type Row = Read["rows"][number];

/** The row of an answer that an update is about: the only one with its key. */
function rowOf(read: Read, { table, key }: Write): Row | undefined {
  if (read.table !== table) return undefined;
  const found = read.rows.filter(({ keys }) => keys.get(key.column) === key.value);
  return found.length === 1 ? found[0] : undefined;
}

function isSameRow(one: Write, two: Write): boolean {
  return one.table === two.table && one.key.column === two.key.column && one.key.value === two.key.value;
}

/** The update of a column of that row, if only one of these has changed that, and only once: several could come to nothing. */
function onlyWriteOf(transactions: readonly Transaction[], row: Write, column: string): OthersWrite | undefined {
  const found = transactions.flatMap((by) =>
    by.steps.flatMap((write) =>
      write.kind === "write" && isSameRow(write, row) && write.sets.has(column) ? [{ by, write }] : [],
    ),
  );
  return found.length === 1 ? found[0] : undefined;
}

/** Whether it had read a number that the update of `row` makes another one. */
function isOfRead({ by, write }: OthersWrite, row: Write, column: string): boolean {
  return by.steps.slice(0, by.steps.indexOf(write)).some((step) => {
    const found = step.kind === "read" ? rowOf(step, row) : undefined;
    return found !== undefined && isNumber(found.values.get(column) ?? "") && changes(found, column, row);
  });
}

function isSame(one: Known, two: Known): boolean {
  return typeof one === "object" && typeof two === "object" && !differ(one.is, two);
}

/** Whether it may have changed the row in a way that is not understood: by another key, or by what is not understood. */
function isUnclear({ changed, steps }: Transaction, row: Write): boolean {
  if (changed.has(row.table) || changed.has(nameOf(row.table))) return true;
  return steps.some(
    (step) =>
      step.kind === "write" &&
      step.table === row.table &&
      (step.key.column !== row.key.column || step.sets.has(row.key.column)),
  );
}

/** Whether a column of a row that was read has another value for sure once the update is done. */
function changes({ values }: Row, column: string, { sets }: Write): boolean {
  if (!values.has(column)) return false;
  const [was, to] = [values.get(column), sets.get(column)!];
  if (to === "moved") return was !== undefined;
  return typeof to === "object" && differ(was, to);
}

const truths: ReadonlyMap<string, string> = new Map([
  ...["t", "true", "on", "yes", "1"].map((word) => [word, "t"] as const),
  ...["f", "false", "off", "no", "0"].map((word) => [word, "f"] as const),
]);

function differ(was: string | undefined, { is }: Exclude<Known, string>): boolean {
  if (was === undefined || is === undefined) return was !== is;
  if (was === is) return false;
  if (isNumber(was) && isNumber(is)) return differAsNumbers(was, is);
  const [one, two] = [was, is].map((text) => truths.get(text.toLowerCase()));
  return one === undefined || one !== two;
}

function isNumber(text: string): boolean {
  return text.trim() !== "" && Number.isFinite(Number(text));
}

/** Also when what is written is rounded: to the digits that were read, as by numeric(10, 2), or to the six of a real. */
function differAsNumbers(was: string, is: string): boolean {
  const by = Math.abs(Number(was) - Number(is));
  if (!/[.e]/i.test(is)) return by > 0;
  const digits = was.split(".")[1]?.length ?? 0;
  return by > Math.max(0.5 * 10 ** -digits, Math.abs(Number(was)) * 1e-6);
}

/** The last part of the name of a table, as other statements may have it. */
function nameOf(table: string): string {
  return table.split(".").at(-1)!.toLowerCase();
}

function what({ table, key }: Write, column: string): string {
  return `${table}.${column} (${key.column} = ${key.value})`;
}
