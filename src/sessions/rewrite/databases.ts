/**
 * The part of the rewrite that lets a database be copied from outside, and while it is in use.
 *
 * Owns: the questions that PostgreSQL asks then. Does not own: the answers (`../database-copies.ts`).
 */
import { Op } from "../wasm/instructions.ts";
import { call, callOnEntry, constant, get, ifTrue, repeatWhile, set } from "./code.ts";
import { Hook } from "./hooks.ts";
import { type Locator, only } from "./locate.ts";

/** See the head of the file. */
export function rewriteDatabases(locator: Locator, hook: number): void {
  const { module } = locator;
  // storage/file/copydir.c. Verified by its own name.
  const interrupts = call(module.exportedFunction("ProcessInterrupts"));
  callOnEntry(module, locator.functionByStrings("copydir"), [
    ...repeatWhile([interrupts, get(0), constant(0), constant(Hook.beforeCopy), call(hook)]),
    ...[get(0), get(1), constant(Hook.copyDirectory), call(hook), [Op.i32EqualZero]],
    ...ifTrue([[Op.return]]),
  ]);
  // tcop/utility.c, exported.
  callOnEntry(module, module.exportedFunction("standard_ProcessUtility"), [
    ...[get(0), get(0), constant(Hook.utility), call(hook), set(0)],
  ]);
  callOnEntry(module, locateCountOthers(locator), [
    ...[get(0), constant(1), constant(Hook.otherBackends), call(hook), [Op.i32EqualZero]],
    ...ifTrue([constant(0), [Op.return]]),
  ]);
}

/**
 * `CountOtherDBBackends(database, &backends, &prepared)` (storage/ipc/procarray.c): what RenameDatabase calls and what waits for
 * the others with pg_usleep.
 */
function locateCountOthers(locator: Locator): number {
  const { module } = locator;
  const sleep = module.exportedFunction("pg_usleep");
  const callees = [...new Set(locator.calls(locator.functionByStrings("RenameDatabase")))];
  const waiting = callees.filter((index) => {
    if (index < module.importedFunctions) return false;
    const { parameters, results } = module.signatureOf(index);
    return parameters === 3 && results === 1 && locator.calls(index).includes(sleep);
  });
  return only(waiting, "CountOtherDBBackends, called by RenameDatabase");
}
