/**
 * The part of the rewrite that spares a session's start the search for settings of its database and role where nobody has any.
 *
 * Owns: the question. Does not own: the search (PostgreSQL).
 * Why: `pg_db_role_setting` and its index are in no cache of system tables. To open the index and to look four times into it took a session's
 * start a tenth of its time, and the table is empty in most clusters.
 * Invariant: the table is opened and locked as ever, and what is left out would have found nothing: a table without a page has no row.
 */
import { concat } from "../wasm/bytes.ts";
import { Op } from "../wasm/instructions.ts";
import { call, constant, get } from "./code.ts";
import { type Locator, only } from "./locate.ts";

/** `DbRoleSettingRelationId` (catalog/pg_db_role_setting.h), `AccessShareLock` and `MAIN_FORKNUM`. */
const settingsTable = 2964;
const accessShareLock = 1;
const mainFork = 0;
/** How often `process_settings` calls `ApplySetting`. */
const searches = 4;

/** `process_settings` (utils/init/postinit.c), which the compiler has put into `InitPostgres`. */
export function skipEmptySettings(locator: Locator): void {
  const { module } = locator;
  const index = locator.functionByStrings("InitPostgres");
  const code = locator.code(index);
  const lock = { op: Op.i32Const, operand: accessShareLock };
  const opened = [
    ...[{ op: Op.i32Const, operand: settingsTable }, lock],
    ...[{ op: Op.call, operand: module.exportedFunction("table_open") }, Op.localSet],
  ];
  const starts = [...code.keys()].filter((at) => locator.matches(code, at, opened));
  const first = only(starts, "process_settings, in InitPostgres") + opened.length;
  const table = code[first - 1]!.operand;
  const closed = [{ op: Op.localGet, operand: table }, lock, Op.call, Op.end];
  const last = code.findIndex((_, at) => at > first && locator.matches(code, at, closed));
  const between = code.slice(first, last);
  const callees = between.filter(({ op }) => op === Op.call).map(({ operand }) => operand);
  const counts = callees.map((callee) => callees.filter((other) => other === callee).length);
  const isStraight = between.every(({ op }) => straight.has(op));
  if (last < 0 || !isStraight || Math.max(0, ...counts) !== searches) {
    throw new Error("process_settings, in InitPostgres of PGlite's WebAssembly, is not four searches in a row");
  }
  const needed = setBetween(between).find((local) => isReadFirst(code.slice(last), local));
  if (needed !== undefined) throw new Error(`what process_settings leaves in local ${needed} is needed behind it`);
  const body = module.body(index);
  const [start, end] = [code[first]!.offset, code[last]!.offset];
  const pages = [get(table), constant(mainFork), call(module.exportedFunction("RelationGetNumberOfBlocksInFork"))];
  const unlessEmpty = [...pages, [Op.if, Op.noResult], body.subarray(start, end), [Op.end]];
  module.replaceBody(index, concat([body.subarray(0, start), ...unlessEmpty, body.subarray(end)]));
}

/** What can be left out as a whole. */
const straight: ReadonlySet<number> = new Set([Op.i32Const, Op.call, Op.localGet, Op.localSet, Op.localTee]);

interface Instruction {
  readonly op: number;
  readonly operand?: unknown;
}

function setBetween(code: readonly Instruction[]): unknown[] {
  return code.filter(({ op }) => op === Op.localSet || op === Op.localTee).map(({ operand }) => operand);
}

/** Whether code reads a local before it sets it; a branch that leaves out the setting is not looked for. */
function isReadFirst(code: readonly Instruction[], local: unknown): boolean {
  const first = code.find(({ op, operand }) => operand === local && accesses.has(op));
  return first?.op === Op.localGet;
}

const accesses: ReadonlySet<number> = new Set([Op.localGet, Op.localSet, Op.localTee]);
