/**
 * What the sources of options give, read and validated.
 *
 * Owns: the sentence of a value that is not accepted, and of an option that there is not. Does not own: which source wins
 * (`../options.ts`), what a value may be (`value-kinds.ts`).
 * Invariant: every given value is validated; an error names the option as it was given, the value and what it takes.
 */
import { UsageError } from "../errors.ts";
import { flagName, type OptionSpec } from "./spec.ts";

/** The rows, by the name of the option in the library. */
type Table = Readonly<Record<string, OptionSpec<unknown>>>;

/** What one source gives: values, with their names as they stand there. */
type Layer = Map<string, { name: string; value: unknown }>;

/** Text by option, as a command line gives it. */
export function readFlags(
  table: Table,
  flags: Readonly<Record<string, string | readonly string[] | undefined>>,
): Layer {
  const layer: Layer = new Map();
  for (const [key, spec] of Object.entries(table)) {
    const given = flags[key];
    if (given === undefined) continue;
    const name = flagName(spec);
    const values = [given].flat().map((value) => accepted(spec, name, value, spec.kind.fromText(value)));
    layer.set(key, { name, value: spec.repeatable ? [...new Set(values.flat())] : values.at(-1) });
  }
  return layer;
}

/** Text by the name in the environment. */
export function readEnvironment(table: Table, environment: Readonly<Record<string, string | undefined>>): Layer {
  const layer: Layer = new Map();
  for (const [key, spec] of Object.entries(table)) {
    const given = spec.environment === undefined ? undefined : environment[spec.environment];
    if (spec.environment === undefined || given === undefined) continue;
    const name = spec.environment;
    layer.set(key, { name, value: accepted(spec, name, given, spec.kind.fromText(given)) });
  }
  return layer;
}

/** Values by option, of those that may be there. */
export function readObject(
  table: Table,
  data: unknown,
  where: string,
  allows: (spec: OptionSpec<unknown>) => boolean,
): Layer {
  if (typeof data !== "object" || data === null || Array.isArray(data)) {
    throw new UsageError(`${where}: ${show(data)} is not an object of options`);
  }
  const layer: Layer = new Map();
  for (const [key, given] of Object.entries(data)) {
    const spec: OptionSpec<unknown> | undefined = Object.hasOwn(table, key) ? table[key] : undefined;
    if (!spec || !allows(spec)) {
      const known = Object.keys(table)
        .filter((known) => allows(table[known]!))
        .join(", ");
      throw new UsageError(`${where}: there is no option ${JSON.stringify(key)}; the options are ${known}`);
    }
    if (given === undefined) continue;
    const name = `${key} in ${where}`;
    layer.set(key, { name, value: accepted(spec, name, given, spec.kind.fromData(given)) });
  }
  return layer;
}

function accepted(spec: OptionSpec<unknown>, name: string, given: unknown, value: unknown): unknown {
  if (value === undefined) {
    throw new UsageError(`${name}: ${spec.secret ? "the given value" : show(given)} is not ${spec.kind.takes}`);
  }
  return value;
}

function show(value: unknown): string {
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  return JSON.stringify(value) ?? String(value);
}
