/**
 * Calls of the server's own functions, in the text of a statement: `select pglite_devdb.set_time('2030-01-01')`.
 *
 * Owns: which functions there are, with the types of their parameters and results; which texts are such a call. Does not own: what they do
 * (`../../thread/server-functions.ts`), messages (`own-calls.ts`).
 * Invariant: pure. An argument is a literal or a parameter, so that its value can be asked of PostgreSQL without anything else being done.
 */
import { int16, int32 } from "../../wire/frames.ts";
import { encodeMessage } from "../../wire/frontend.ts";

/**
 * What a function makes of its argument before it is told it. Every name here and below is PostgreSQL's own, whatever the client's search_path finds:
 * who asks whether somebody may do something must not be answered by him.
 */
const times = "operator(pg_catalog.*)";
const asMilliseconds = {
  time: (argument: string) => `extract(epoch from (${argument})::pg_catalog.timestamptz) ${times} 1000`,
  span: (argument: string) =>
    `extract(epoch from pg_catalog.now() operator(pg_catalog.+) (${argument})::pg_catalog.interval ` +
    `operator(pg_catalog.-) pg_catalog.now()) ${times} 1000`,
} as const;
const asText = (argument: string) => `(${argument})::pg_catalog.text`;
const asBoolean = (argument: string) => `(${argument})::pg_catalog.bool`;

interface OwnFunction {
  readonly takes?: (argument: string) => string;
  readonly result: "void" | "text";
  /** Until no client is in one: it would wait for its own. */
  readonly waitsForTransactions?: boolean;
}

const functions = {
  set_time: { takes: asMilliseconds.time, result: "void" },
  advance_time: { takes: asMilliseconds.span, result: "void" },
  discrete_time: { takes: asBoolean, result: "void" },
  reset_time: { result: "void" },
  show_time: { result: "text" },
  branch: { takes: asText, result: "text" },
  drop_branch: { takes: asText, result: "void" },
  reset_branch: { takes: asText, result: "void" },
  reset: { result: "void" },
  snapshot: { takes: asText, result: "void", waitsForTransactions: true },
  restore: { takes: asText, result: "void" },
  drop_snapshot: { takes: asText, result: "void" },
  snapshots: { result: "text" },
} as const satisfies Readonly<Record<string, OwnFunction>>;

/** The name of one. */
export type OwnFunctionName = keyof typeof functions;

/** One that is called. */
export interface OwnCall {
  readonly name: OwnFunctionName;
  readonly waitsForTransactions: boolean;
  /** Asks PostgreSQL whether it is a superuser's, and, if it has one, for the value of its argument. */
  readonly question: string;
  /** The RowDescription of its result, in a format. */
  readonly describe: (format: number) => Buffer;
}

// A backslash in a literal means what `standard_conforming_strings` says, which is not known here, unless it is E'…': it is left to PostgreSQL.
// No two repetitions that take the same characters follow each other: a text that is no call is seen to be none in one pass.
const cast = String.raw`(?:\s*::\s*[a-z][a-z\d]*(?: +[a-z\d]+)*)?`;
const argument = String.raw`(?:[a-z]+\s+)?'(?:[^'\\]|'')*'${cast}|e'(?:[^'\\]|''|\\[^])*'${cast}|\$\d+${cast}|true|false|null`;
const comment = String.raw`\s|--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*\*/`;
const callPattern = new RegExp(
  `^(?:${comment})*select\\s+(?:\\*\\s+from\\s+)?pglite_devdb\\.([a-z_]+)\\s*\\(\\s*(?:(${argument})\\s*)?\\)` +
    `(?:\\s+as\\s+("?)(\\w+)\\3)?(?:${comment}|;)*$`,
  "i",
);

/** The call that a text is; undefined for every other one, which PostgreSQL answers. */
export function readCall(sql: string): OwnCall | undefined {
  const [, written = "", given, , column] = callPattern.exec(sql) ?? [];
  const name = written.toLowerCase();
  if (!Object.hasOwn(functions, name)) return undefined;
  const { takes, result, waitsForTransactions = false }: OwnFunction = functions[name as OwnFunctionName];
  if ((takes !== undefined) !== (given !== undefined)) return undefined;
  const value = takes && given !== undefined ? `, ${takes(given)}` : "";
  return {
    name: name as OwnFunctionName,
    waitsForTransactions,
    question: `select pg_catalog.current_setting('is_superuser')${value}`,
    describe: (format) => rowDescription(column ?? name, result, format),
  };
}

/** OIDs and lengths (catalog/pg_type.dat). */
const resultTypes = { void: [2278, 4], text: [25, -1] } as const;

function rowDescription(column: string, result: keyof typeof resultTypes, format: number): Buffer {
  const [oid, length] = resultTypes[result];
  return encodeMessage("T", int16(1), column, int32(0), int16(0), int32(oid), int16(length), int32(-1), int16(format));
}
