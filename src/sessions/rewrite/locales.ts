/**
 * The part of the rewrite that has libc know the locales that it has, and no others.
 *
 * Owns: the places. Does not own: which locales these are (`../locales.ts`).
 * Why: musl takes any name for a locale and sorts by bytes; PostgreSQL would not have it.
 */
import { Op } from "../wasm/instructions.ts";
import { call, callOnEntry, constant, get, ifTrue } from "./code.ts";
import { Hook } from "./hooks.ts";
import type { Locator } from "./locate.ts";

/** `setlocale(category, name)` and `newlocale(mask, name, base)` answer NULL for one that is not there. */
export function rewriteLocales({ module }: Locator, hook: number): void {
  for (const name of ["setlocale", "newlocale"])
    callOnEntry(module, module.exportedFunction(name), [
      ...[get(1), constant(1), constant(Hook.locale), call(hook), [Op.i32EqualZero]],
      ...ifTrue([constant(0), [Op.return]]),
    ]);
}
