/**
 * Copies a client's prepared statements from one backend's memory to another's.
 *
 * Owns: the kept parts of a statement, and making PostgreSQL plan it again at its next use, with the result that the client knows. Does not
 * own: when (`session-state.ts`, `../transport/kept-state.ts`).
 * Mirrors `PreparedStatement` (commands/prepare.h), `CachedPlanSource` (utils/plancache.h), `TupleDescData` (access/tupdesc.h) and `List`.
 * Invariant: RevalidateCachedQuery() reports what it would report after DDL: 0A000 for a statement whose result has changed, and PostgreSQL's own
 * error for a statement that can no longer be analyzed. A layout that differs from this file is an error, never a guess.
 */
import assert from "node:assert/strict";
import type { Machine } from "./machine.ts";
import type { NamedStatement } from "./session-context.ts";

/** Offsets in a prepared statement, which begins with its name. */
const statementSource = 64;
const statementFromSql = 68;

/** Offsets in its plan source, and `CACHEDPLANSOURCE_MAGIC`. */
const source = {
  rawTree: 4,
  text: 12,
  tag: 16,
  types: 20,
  typeCount: 24,
  fixedResult: 48,
  result: 52,
  context: 56,
  isComplete: 93,
  isValid: 95,
} as const;
const sourceMagic = 195_726_186;

/** A row type has the number of its columns, then a part of fixed size for each column, then the columns. */
const resultHead = 20;
const compactColumn = 16;
const column = 100;
const resultConstraints = 16;
const resultReferences = 12;
const columnNumber = 74;
/** The offset of a list's elements. */
const listElements = 12;

/** Room for a `HASH_SEQ_STATUS` (utils/hsearch.h), which has 20 bytes. */
const scanBytes = 64;

/** Returns the loaded session's statements that the client has prepared by the protocol, from the table at an address. */
export function readStatements(machine: Machine, table: number): NamedStatement[] {
  const word = (address: number) => machine.words[address >> 2]!;
  return entriesOf(machine, table).flatMap((statement) => {
    if (machine.bytes[statement + statementFromSql] !== 0) return [];
    const plan = sourceOf(machine, statement);
    const types = Array.from({ length: word(plan + source.typeCount) }, (_, at) =>
      word(word(plan + source.types) + 4 * at),
    );
    const result = resultAt(machine, word(plan + source.result));
    const text = textAt(machine, word(plan + source.text));
    return [{ name: textAt(machine, statement), text, types, tag: word(plan + source.tag), ...(result && { result }) }];
  });
}

/**
 * Gives the loaded session's statement of that name the result that its client knows. `isStandIn`: there is another one under the
 * name, because `kept` cannot be analyzed now; it becomes `kept`, and PostgreSQL says why not when the client uses it.
 */
export function resumeStatement(machine: Machine, table: number, kept: NamedStatement, isStandIn: boolean): void {
  const word = (address: number) => machine.words[address >> 2]!;
  const found = entriesOf(machine, table).find((entry) => textAt(machine, entry) === kept.name);
  if (found === undefined) return;
  const plan = sourceOf(machine, found);
  const now = word(plan + source.result);
  const known = kept.result ? putBytes(machine, word(plan + source.context), kept.result) : 0;
  const isSame = known === 0 || now === 0 ? known === now : machine.function("equalRowTypes")(now, known) !== 0;
  if (isSame && !isStandIn) return;
  if (isStandIn) replaceText(machine, plan, kept);
  machine.setWord(plan + source.result, known);
  machine.write(plan + source.isValid, Uint8Array.of(0));
}

function replaceText(machine: Machine, plan: number, { text, tag }: NamedStatement): void {
  const context = machine.words[(plan + source.context) >> 2]!;
  const current = machine.address("CurrentMemoryContext");
  const before = machine.words[current >> 2]!;
  machine.setWord(current, context);
  const copied = putBytes(machine, context, Buffer.from(`${text}\0`));
  const trees = machine.function("raw_parser")(copied, 0);
  const elements = machine.words[(trees + listElements) >> 2]!;
  machine.setWord(plan + source.rawTree, machine.words[elements >> 2]!);
  machine.setWord(plan + source.text, copied);
  machine.setWord(plan + source.tag, tag);
  machine.setWord(current, before);
}

/** Copies bytes to PostgreSQL's memory, in that context. */
function putBytes(machine: Machine, context: number, bytes: Uint8Array): number {
  const address = machine.function("MemoryContextAlloc")(context, bytes.length);
  machine.write(address, bytes);
  return address;
}

function sourceOf(machine: Machine, statement: number): number {
  const plan = machine.words[(statement + statementSource) >> 2]!;
  const { bytes } = machine;
  const isKnown = bytes[plan + source.fixedResult] === 1 && bytes[plan + source.isComplete] === 1;
  const isSource = machine.words[plan >> 2] === sourceMagic;
  assert(isSource && isKnown, "prepared statements are laid out as in PostgreSQL 18");
  return plan;
}

/** Returns a self-contained copy of a row type; undefined for a statement without a result. */
function resultAt(machine: Machine, address: number): Uint8Array | undefined {
  if (address === 0) return undefined;
  const count = machine.words[address >> 2]!;
  const columns = resultHead + count * compactColumn;
  const copy = Buffer.from(machine.bytes.slice(address, address + columns + count * column));
  for (let at = 0; at < count; at++) {
    const number = copy.readInt16LE(columns + at * column + columnNumber);
    assert(number === at + 1, "row types are laid out as in PostgreSQL 18");
  }
  copy.writeInt32LE(0, resultConstraints);
  copy.writeInt32LE(-1, resultReferences);
  return copy;
}

/** Returns the C string at an address. */
export function textAt({ bytes }: Machine, address: number): string {
  return Buffer.from(bytes.slice(address, bytes.indexOf(0, address))).toString("utf8");
}

/** The addresses of the entries of one of PostgreSQL's hash tables, which may be absent. */
export function entriesOf(machine: Machine, table: number): number[] {
  if (table === 0) return [];
  const status = machine.function("malloc")(scanBytes);
  assert(status !== 0, "there is room for a scan of a hash table");
  machine.function("hash_seq_init")(status, table);
  const found: number[] = [];
  for (;;) {
    const entry = machine.function("hash_seq_search")(status);
    if (entry === 0) break;
    found.push(entry);
  }
  machine.function("free")(status);
  return found;
}
