/**
 * Values of the scripts' command line options.
 *
 * Owns: numbers, read and checked. Does not own: which options a script has.
 * Invariant: a bad value is a `UsageError` that names the option, the value and what it takes.
 */
import { UsageError } from "../src/errors.ts";

/** A whole number from `least` to `most`. */
export function whole(option: string, text: string, least: number, most: number): number {
  if (!/^\d+$/.test(text) || Number(text) < least || Number(text) > most) {
    throw new UsageError(`${option} ${JSON.stringify(text)}: takes a whole number from ${least} to ${most}`);
  }
  return Number(text);
}

/** A number from `least` to `most`. */
export function number(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= least && value <= most)) {
    throw new UsageError(`${option} ${JSON.stringify(text)}: takes a number from ${least} to ${most}`);
  }
  return value;
}
