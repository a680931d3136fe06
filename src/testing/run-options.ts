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

/**
 * What was kept. Without an id that is what all calls of `devDb` have said: a configuration may be read again. Throws if they have said
 * different things, as a run has one server.
 */
export function optionsOf(id?: string): DevDbOptions {
  const all = holder[key] ?? [];
  if (id !== undefined) return all[Number(id)] ?? {};
  const [said, ...others] = new Set(all.map(textOf));
  if (others.length > 0) {
    throw new Error(
      `devDb() was called with different options, but a run has one server: ${[said, ...others].join(" and ")}. ` +
        "Call it in one place, with all that the tests need",
    );
  }
  return all.at(-1) ?? {};
}

/** The options as text, in which a function that was read again is the same. */
function textOf(options: DevDbOptions): string {
  return JSON.stringify(options, (_, value: unknown) => (typeof value === "function" ? String(value) : value));
}
