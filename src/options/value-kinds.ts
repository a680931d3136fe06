/**
 * The kinds of value that an option can have, each with its one validation.
 *
 * Owns: reading a value from text (a flag, the environment) and from data (package.json, the library). Does not own:
 * which option has which kind (`options.ts`), or the sentence of the error.
 * Invariant: both readings accept the same set of values, and neither guesses: `1e3`, `0x10`, ` 5` and `""` are refused.
 */
import { isServerUrl, serverUrlForm } from "./url-syntax.ts";
import type { Sessions } from "./words.ts";

/** A kind of value; both readings return undefined for a value that is not of the kind. */
export interface ValueKind<T> {
  /** What is accepted, worded to follow "is not", for example `a whole number from 0 to 65535`. */
  readonly takes: string;
  fromText(text: string): T | undefined;
  fromData(data: unknown): T | undefined;
}

/** Decimal digits only, between two limits that are both accepted. */
export function wholeNumber(from: number, to: number, note = ""): ValueKind<number> {
  const fromData = (data: unknown) =>
    typeof data === "number" && Number.isInteger(data) && data >= from && data <= to ? data : undefined;
  return {
    takes: `a whole number from ${from} to ${to}${note}`,
    fromText: (text) => (/^(0|[1-9]\d*)$/.test(text) ? fromData(Number(text)) : undefined),
    fromData,
  };
}

/** Text that is not empty, has no control character, and passes `accepts`. */
export function text(takes: string, accepts: (text: string) => boolean = () => true): ValueKind<string> {
  const fromText = (value: string) =>
    value !== "" && value.trim() === value && !/\p{Cc}/u.test(value) && accepts(value) ? value : undefined;
  return { takes, fromText, fromData: (data) => (typeof data === "string" ? fromText(data) : undefined) };
}

/** A command line; blanks around it do not matter. */
export function commandLine(): ValueKind<string> {
  const kind = text("a command line");
  return { ...kind, fromText: (value) => kind.fromText(value.trim()) };
}

/** Text, or in data also a function, which only a caller of the library can have. */
export function orFunction<F extends (...parameters: never) => unknown>(
  kind: ValueKind<string>,
): ValueKind<string | F> {
  return { ...kind, fromData: (data) => (typeof data === "function" ? (data as F) : kind.fromData(data)) };
}

/** Yes or no: `true` and `false`, in text also 1 and 0. */
export const yesOrNo: ValueKind<boolean> = {
  takes: "true or false",
  fromText: (value) => {
    if (value === "true" || value === "1") return true;
    return value === "false" || value === "0" ? false : undefined;
  },
  fromData: (data) => (typeof data === "boolean" ? data : undefined),
};

/** One of a fixed list of words. */
export function oneOf<T extends string>(...words: readonly T[]): ValueKind<T> {
  const fromText = (value: string) => words.find((word) => word === value);
  return {
    takes: `one of ${words.join(", ")}`,
    fromText,
    fromData: (data) => (typeof data === "string" ? fromText(data) : undefined),
  };
}

/** One item, or in data also an array; a text is never cut, as a path may have any character. */
export function oneOrMore<T>(item: ValueKind<T>, takes: string): ValueKind<readonly T[]> {
  const whole = (values: (T | undefined)[]) =>
    values.every((value) => value !== undefined) ? [...new Set(values)] : undefined;
  return {
    takes,
    fromText: (value) => whole([item.fromText(value)]),
    fromData: (data) => whole([data].flat().map((value) => item.fromData(value))),
  };
}

/** A list: commas between the items in text, an array in data. An empty item is refused, an empty array is not. */
export function listOf<T>(item: ValueKind<T>, takes: string): ValueKind<readonly T[]> {
  const whole = (values: (T | undefined)[]) =>
    values.every((value) => value !== undefined) ? [...new Set(values)] : undefined;
  return {
    takes,
    fromText: (value) => whole(value.split(",").map((part) => item.fromText(part.trim()))),
    fromData: (data) => (Array.isArray(data) ? whole(data.map((value) => item.fromData(value))) : undefined),
  };
}

/** A setting of PostgreSQL's with its value. */
const assignment = text("NAME=VALUE", (value) => /^[a-z_][\w.]*\s*=/i.test(value));

/** A list of them; in text, a comma that no name follows is a part of the value. */
export const assignments: ValueKind<readonly string[]> = {
  ...listOf(assignment, "NAME=VALUE, or a list of that"),
  fromText: (value) => {
    const parts = value.split(/,(?=\s*[a-z_][\w.]*\s*=)/i).map((part) => assignment.fromText(part.trim()));
    return parts.every((part) => part !== undefined) ? parts : undefined;
  },
};
/** The longest time that a Node timer can wait; about 24 days. */
export const longestTimeoutMs = 2 ** 31 - 1;

/** `transactionIdleTimeoutMs` where it is not given: a transaction that idles holds up everybody where there is one session for all. */
export const transactionIdleDefaultsMs = { isolated: 0, shared: 30_000 } as const satisfies Record<Sessions, number>;

/** A time. */
export const milliseconds = wholeNumber(0, longestTimeoutMs, " (milliseconds; 0 for never)");

/** PostgreSQL cuts off what is longer. */
const longestNameBytes = 63;

/** A name in PostgreSQL. */
export const identifier = text(
  `a name of at most ${longestNameBytes} bytes`,
  (value) => Buffer.byteLength(value) <= longestNameBytes,
);

/** Which PostgreSQL: one of two words, or where one is. */
export const engineName = text(
  `pglite, postgres or ${serverUrlForm}`,
  (value) => value === "pglite" || value === "postgres" || isServerUrl(value),
);
