/**
 * What there is to say about one option.
 *
 * Owns: the shape of a row of the table, the headings of `--help`. Does not own: the rows (`../options.ts`).
 * Invariant: pure.
 */
import type { ValueKind } from "./value-kinds.ts";

/** The headings of `--help`, in their order. */
export const optionGroups = ["Address", "Access", "Data", "Limits", "Trace", "Output"] as const;

/** One row of the table. */
export interface OptionSpec<T> {
  /** As commander takes it: `-p, --port <n>`. */
  readonly flags: string;
  /** The environment variable, if there is one. */
  readonly environment?: string;
  readonly default: T;
  /** What `--help` says about a default that depends on other options. */
  readonly defaultNote?: string;
  readonly kind: ValueKind<NonNullable<T>>;
  readonly group: (typeof optionGroups)[number];
  /** For a person; starts in lower case, no full stop. */
  readonly help: string;
  /** Given several times, the values add up. */
  readonly repeatable?: true;
  /** An error about its value does not show it. */
  readonly secret?: true;
  /** `everywhere`; `command line`: not an option of the library; `start`, `run`: of that command only. */
  readonly scope?: "command line" | "start" | "run";
}

/** The long flag of an option: `--port`. */
export function flagName(spec: Pick<OptionSpec<unknown>, "flags">): string {
  return /--[\w-]+/.exec(spec.flags)?.[0] ?? spec.flags;
}
