/**
 * Recorded answers and those of a replay.
 *
 * Owns: what must be equal, and what must differ from run to run. Does not own: showing it.
 * Invariant: whatever is not in the list of `docs/microscope.md` has to be equal byte by byte.
 */
import { readErrorFields } from "../../wire/query-results.ts";
import type { Trace } from "../read/trace-reader.ts";
import { type TracedMessage, traceEvents } from "../read/traced-messages.ts";
import { isReply } from "./script.ts";

/** The first reply that is another one. */
interface Difference {
  readonly connection: number;
  /** Undefined: nothing was recorded there any more. */
  readonly recorded: TracedMessage | undefined;
  /** Undefined: nothing came. */
  readonly played: TracedMessage | undefined;
  /** What the client had said last, as recorded. */
  readonly said: TracedMessage | undefined;
}

/** The replies of a connection after its login, each with what was said before it. */
type Heard = { reply: TracedMessage; said: TracedMessage | undefined }[];

/** Compares; the first difference in the recorded order. */
export function compareAnswers(recorded: Trace, played: Trace): Difference | undefined {
  const [before, now] = [hear(recorded), hear(played)];
  let first: (Difference & { line: number }) | undefined;
  for (const [connection, heard] of before) {
    const there = now.get(connection) ?? [];
    const columns = new Columns();
    const at = heard.findIndex(({ reply }, index) => !columns.areSame(reply, there[index]?.reply));
    if (at < 0) continue;
    const { reply, said } = heard[at]!;
    const difference = { connection, recorded: reply, played: there[at]?.reply, said, line: reply.line };
    if (!first || difference.line < first.line) first = difference;
  }
  return first;
}

function hear(trace: Trace): Map<number, Heard> {
  const heard = new Map<number, Heard>();
  const said = new Map<number, TracedMessage>();
  const isIn = new Set<number>();
  for (const event of traceEvents(trace)) {
    if (event.kind !== "message") continue;
    const { connection, name, side } = event;
    if (side === "frontend") said.set(connection, event);
    else if (!isIn.has(connection)) {
      if (name === "ReadyForQuery") isIn.add(connection);
    } else if (isReply(event)) {
      const all = heard.get(connection) ?? [];
      heard.set(connection, all);
      all.push({ reply: event, said: said.get(connection) });
    }
  }
  return heard;
}

/** Types whose values differ from run to run: times, xid, cid, tid, xid8, pg_lsn, oid, uuid, snapshots. */
const volatileTypes: ReadonlySet<number> = new Set([
  26, 27, 28, 29, 1082, 1083, 1114, 1184, 1266, 2950, 2970, 3220, 5038, 5069,
]);

/** Such values as text. */
const volatileText = [
  /^\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d(?::?\d\d)?|Z)?)?$/,
  /^\d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d(?::?\d\d)?)?$/,
  /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
];

/** Of one connection: which types its rows have. */
class Columns {
  #types: readonly number[] = [];

  areSame(recorded: TracedMessage, played: TracedMessage | undefined): boolean {
    if (recorded.name !== played?.name) return false;
    switch (recorded.name) {
      case "RowDescription":
        this.#types = describe(recorded.body).map(({ type }) => type);
        return (
          JSON.stringify(describe(recorded.body).map(comparable)) ===
          JSON.stringify(describe(played.body).map(comparable))
        );
      case "ParameterDescription":
        return recorded.body.length === played.body.length;
      case "DataRow":
        return this.#areSameRows(readValues(recorded.body), readValues(played.body));
      case "ErrorResponse":
        return readErrorFields(recorded.body).get("C") === readErrorFields(played.body).get("C");
      default:
        return recorded.body.equals(played.body);
    }
  }

  #areSameRows(recorded: readonly (Buffer | undefined)[], played: readonly (Buffer | undefined)[]): boolean {
    if (recorded.length !== played.length) return false;
    return recorded.every((value, index) => {
      const other = played[index];
      if (!value || !other) return value === other;
      if (value.equals(other)) return true;
      if (this.#types.length === recorded.length && volatileTypes.has(this.#types[index]!)) return true;
      const [text, otherText] = [value.toString("utf8"), other.toString("utf8")];
      return volatileText.some((pattern) => pattern.test(text) && pattern.test(otherText));
    });
  }
}

interface Column {
  readonly name: string;
  readonly type: number;
  readonly format: number;
}

/** The first type that a user has made; their numbers are not the same everywhere. */
const firstOwnType = 16_384;

function comparable({ name, type, format }: Column): readonly unknown[] {
  return [name, type < firstOwnType ? type : "own", format];
}

function describe(body: Buffer): Column[] {
  let at = 2;
  return Array.from({ length: body.readInt16BE(0) }, () => {
    const end = body.indexOf(0, at);
    const name = body.toString("utf8", at, end);
    at = end + 19;
    return { name, type: body.readInt32BE(end + 7), format: body.readInt16BE(end + 17) };
  });
}

function readValues(body: Buffer): (Buffer | undefined)[] {
  let at = 2;
  return Array.from({ length: body.readInt16BE(0) }, () => {
    const length = body.readInt32BE(at);
    at += 4 + Math.max(length, 0);
    return length < 0 ? undefined : body.subarray(at - length, at);
  });
}
