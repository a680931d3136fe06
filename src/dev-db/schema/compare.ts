/**
 * What is different between two databases.
 *
 * Owns: which differences count, their order, and the text. Does not own: reading a database (`read.ts`).
 * Invariant: the same two databases give the same differences in the same order.
 */
import type { Kind } from "./kind.ts";
import { type Contents, kinds } from "./read.ts";

/** An object that is in one of the two only, or that is not the same in both. */
interface SchemaDifference {
  readonly change: "added" | "removed" | "changed";
  readonly kind: string;
  readonly name: string;
  /** Its definition in the first one, and in the second one. */
  readonly before?: string;
  readonly after?: string;
}

/** A table's rows in the two; null: they cannot be counted by this user. */
interface RowCounts {
  readonly table: string;
  readonly before?: number | null;
  readonly after?: number | null;
}

/** See the head of the file. */
export interface Differences {
  readonly schema: readonly SchemaDifference[];
  /** Of all tables, also where they are the same. */
  readonly rows: readonly RowCounts[];
}

/** Compares two databases. */
export function compareContents(before: Contents, after: Contents): Differences {
  const schema = kinds.flatMap((kind) =>
    differencesOf(kind, before.objects.get(kind) ?? new Map(), after.objects.get(kind) ?? new Map()),
  );
  const rows = namesOf(before.rows, after.rows).map((table) => ({
    table,
    ...(before.rows.has(table) && { before: before.rows.get(table)! }),
    ...(after.rows.has(table) && { after: after.rows.get(table)! }),
  }));
  return { schema, rows };
}

/** Whether the counts of a table tell that the two are not the same. */
export function rowsDiffer({ before, after }: RowCounts): boolean {
  return before !== after;
}

/** The differences as lines: `-` is in the first one only, `+` in the second one only, `!` in both, but not the same. */
export function differenceLines({ schema, rows }: Differences): string[] {
  const shown = (count: number | null | undefined) =>
    count === undefined ? "no table" : count === null ? "cannot be counted" : String(count);
  return [
    ...schema.flatMap(objectLines),
    ...rows.filter(rowsDiffer).map((each) => `! rows of ${each.table}: ${shown(each.before)} -> ${shown(each.after)}`),
  ];
}

type Definitions = ReadonlyMap<string, string>;

function differencesOf({ kind, counts }: Kind, before: Definitions, after: Definitions): SchemaDifference[] {
  const all = namesOf(before, after).map((name): SchemaDifference | undefined => {
    const [old, now] = [before.get(name), after.get(name)];
    if (old === undefined) return counts ? undefined : { change: "added", kind, name, after: now! };
    if (now === undefined) return counts ? undefined : { change: "removed", kind, name, before: old };
    if (counts !== "order") return old === now ? undefined : { change: "changed", kind, name, before: old, after: now };
    const [one, other] = inBoth(old.split("\n"), now.split("\n"));
    return one === other ? undefined : { change: "changed", kind, name, before: one, after: other };
  });
  return all.filter((difference) => difference !== undefined);
}

/** Those parts that both have: what is new or gone is told by itself. */
function inBoth(one: readonly string[], other: readonly string[]): [string, string] {
  const [inOne, inOther] = [new Set(one), new Set(other)];
  return [one.filter((part) => inOther.has(part)).join(", "), other.filter((part) => inOne.has(part)).join(", ")];
}

/** In the order of their bytes, which is the same everywhere. */
function namesOf(one: ReadonlyMap<string, unknown>, other: ReadonlyMap<string, unknown>): string[] {
  return [...new Set([...one.keys(), ...other.keys()])].sort((a, b) => (a < b ? -1 : 1));
}

/** How long two definitions are together at most that are shown in one line. */
const oneLineLength = 100;

const signs = { added: "+", removed: "-", changed: "!" } as const;

function objectLines({ change, kind, name, before, after }: SchemaDifference): string[] {
  const head = `${signs[change]} ${kind} ${name}`;
  const texts = [before, after].filter((text) => text !== undefined);
  const isShort = change !== "changed" || texts.join().length <= oneLineLength;
  if (isShort && texts.every((text) => !text.includes("\n"))) {
    const definition = texts.map((text) => text || "(nothing)").join(" -> ");
    return [definition === "(nothing)" ? head : `${head}: ${definition}`];
  }
  if (before === undefined || after === undefined) {
    return [head, ...texts[0]!.split("\n").map((line) => `    ${line}`)];
  }
  return [head, ...changedLines(before.split("\n"), after.split("\n"))];
}

/** Without the lines at the begin and at the end that are the same in both. */
function changedLines(before: readonly string[], after: readonly string[]): string[] {
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) start++;
  let end = 0;
  while (end < most - start && before.at(-1 - end) === after.at(-1 - end)) end++;
  const middle = (lines: readonly string[]) => lines.slice(start, lines.length - end);
  return [...middle(before).map((line) => `  - ${line}`), ...middle(after).map((line) => `  + ${line}`)];
}
