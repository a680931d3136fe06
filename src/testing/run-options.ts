/**
 * What a runner's configuration says about the server, for the module that starts it.
 *
 * Owns: keeping it in the process. Does not own: what it means. A runner names that module by its path, may load it and its configuration
 * as modules of different graphs, and hands on only what can be sent between processes, which a function cannot.
 */
import type { DevDbOptions } from "../index.ts";

const key = Symbol.for("pglite-devdb.run");
const holder = globalThis as { [key]?: DevDbOptions[] };

/** Keeps them; the answer is for `optionsOf`. */
export function rememberOptions(options: DevDbOptions): string {
  holder[key] ??= [];
  return String(holder[key].push(options) - 1);
}

/** What was kept; without an id, what was kept last: a configuration may be read again. */
export function optionsOf(id?: string): DevDbOptions {
  return holder[key]?.at(id === undefined ? -1 : Number(id)) ?? {};
}
