/**
 * The part of the rewrite that makes libc accept only its own locales.
 *
 * Owns: the rewritten places. Does not own: the list of locales (`../locales.ts`).
 * Why: musl accepts any name as a locale and sorts by bytes; PostgreSQL must refuse unknown names.
 */
import { Op } from "../wasm/instructions.ts";
import { call, callOnEntry, constant, get, ifTrue } from "./code.ts";
import { Hook } from "./hooks.ts";
import type { Locator } from "./locate.ts";

/** `setlocale(category, name)` and `newlocale(mask, name, base)` return NULL for an unknown locale. */
export function rewriteLocales({ module }: Locator, hook: number): void {
  for (const name of ["setlocale", "newlocale"])
    callOnEntry(module, module.exportedFunction(name), [
      ...[get(1), constant(1), constant(Hook.locale), call(hook), [Op.i32EqualZero]],
      ...ifTrue([constant(0), [Op.return]]),
    ]);
}
