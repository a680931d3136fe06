/**
 * The options of the plugin, for the global setup.
 *
 * Owns: keeping them in the process. Does not own: what they mean. vitest may load the two files as modules of different graphs, and
 * hands on only what can be sent between processes, which a function cannot.
 */
import type { DevDbOptions } from "../index.ts";

const key = Symbol.for("pglite-devdb.vitest");
const holder = globalThis as { [key]?: DevDbOptions[] };

/** Keeps them; the answer is for `optionsOf`. */
export function rememberOptions(options: DevDbOptions): string {
  holder[key] ??= [];
  return String(holder[key].push(options) - 1);
}

/** What was kept. */
export function optionsOf(id: string): DevDbOptions {
  return holder[key]?.[Number(id)] ?? {};
}
