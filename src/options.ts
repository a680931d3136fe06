/**
 * The options of a start, merged from flags, environment, package.json and library options.
 *
 * Owns: the merging. Does not own: the options (`options/table.ts`), the parsing of a command line (`cli/`), or whether a path exists and a port
 * is free (`dev-db/`).
 * Invariant: every given value is validated, also one that is overridden; an error names the option as given, the value and what it takes.
 */
import { readEnvironment, readFlags, readObject } from "./options/layers.ts";
import { flagName } from "./options/spec.ts";
import { optionTable } from "./options/table.ts";
import type { OptionValues } from "./options/words.ts";

export { optionTable } from "./options/table.ts";
export type * from "./options/words.ts";

/** The name of an option in the library and in package.json. */
export type OptionKey = keyof OptionValues;

/** The keys of the table in its order. */
export const optionKeys = Object.keys(optionTable) as readonly OptionKey[];

/** Validated options with their defaults filled in. */
export interface ResolvedOptions extends OptionValues {
  /** For each option that was given: its name where it was given, to be used in an error about its value. */
  readonly givenAs: ReadonlyMap<OptionKey, string>;
}

/** Where options come from; an earlier one wins over a later one. */
export interface OptionSources {
  /** Text by option key, as a command line gives it. An array is a repeated flag. */
  flags?: Partial<Record<OptionKey, string | readonly string[] | undefined>>;
  /** Values by option key, as a caller of the library gives them. `undefined` is not given. */
  library?: object;
  /** Text by environment name. */
  environment?: Readonly<Record<string, string | undefined>>;
  /** The value of the `pglite-devdb` key in package.json. */
  packageJson?: unknown;
}

/** Merges and validates. Throws a `UsageError` for the first value that is not accepted and for an unknown key. */
export function resolveOptions(sources: OptionSources): ResolvedOptions {
  const layers = [
    readFlags(optionTable, sources.flags ?? {}),
    readObject(optionTable, sources.library ?? {}, "the options", (spec) => spec.scope === undefined),
    readEnvironment(optionTable, sources.environment ?? {}),
    readObject(optionTable, sources.packageJson ?? {}, 'the "pglite-devdb" key of package.json', () => true),
  ];
  const values: Partial<Record<OptionKey, unknown>> = {};
  const givenAs = new Map<OptionKey, string>();
  for (const key of optionKeys) {
    const winner = layers.find((layer) => layer.has(key))?.get(key);
    values[key] = winner ? winner.value : optionTable[key].default;
    if (winner) givenAs.set(key, winner.name);
  }
  return { ...(values as unknown as OptionValues), givenAs };
}

/** How an option is called in a sentence about its value: as it was given, or by its flag. */
export function nameOf(options: ResolvedOptions, key: OptionKey): string {
  return options.givenAs.get(key) ?? flagName(optionTable[key]);
}
