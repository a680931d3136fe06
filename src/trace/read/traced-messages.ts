/**
 * The messages of a trace, each with where it stands.
 *
 * Owns: putting records together to messages; which exchange a message belongs to; whose process id is whose. Does not own:
 * the file (`trace-reader.ts`), what is right (`../check/`).
 * Invariant: the messages of one record follow each other; a message stands where its last byte does.
 */
import { ConnectionReader, type WireMessage } from "../../wire/connection-reader.ts";
import { StatementTexts } from "../../wire/statement-texts.ts";
import type { Trace, TraceRecord } from "./trace-reader.ts";

/** A message in its place. */
export interface TracedMessage extends WireMessage {
  readonly kind: "message";
  readonly file: string;
  readonly line: number;
  readonly time: number;
  readonly connection: number;
  /** Whether it is the first one that a data event, or a write, has completed. */
  readonly isFirst: boolean;
  /** Counts the pipelines of its connection: what was asked up to a Sync or Query, and the answers to that. 0: the login. */
  readonly exchange: number;
  /** The text of the statement that a message of the client is about, if it is about one that is known. */
  readonly statement: string | undefined;
}

/** What has no message: a connection whose beginning the trace lacks, or whose bytes are not the protocol. */
interface Unreadable {
  readonly kind: "midway" | "unreadable";
  readonly file: string;
  readonly line: number;
  readonly time: number;
  readonly connection: number;
}

/** What happens in a trace. */
export type TraceEvent = TracedMessage | Exclude<TraceRecord, { kind: "bytes" }> | Unreadable;

/** What is known of a connection at one moment. */
class Lane {
  readonly reader = new ConnectionReader();
  readonly texts = new StatementTexts();
  /** How many exchanges each side has finished. */
  readonly done = { frontend: 0, backend: 0 };
}

const ends = new Set(["Query", "Sync", "FunctionCall", "StartupMessage"]);

/** The events of a trace in their order. `processes` learns which process id belongs to which connection. */
export function* traceEvents(trace: Trace, processes = new Map<number, number>()): Generator<TraceEvent> {
  const lanes = new Map<number, Lane | "midway">();
  for (const record of trace.records()) {
    if (record.kind === "closed") lanes.delete(record.connection);
    if (record.kind !== "bytes") {
      yield record;
      continue;
    }
    const { file, line, time, connection, side, bytes } = record;
    const place = { file, line, time, connection };
    const known = lanes.get(connection);
    const isMidway = !known && trace.isPartial && (side === "backend" || !isStart(bytes));
    const lane = known ?? (isMidway ? "midway" : new Lane());
    lanes.set(connection, lane);
    if (isMidway) yield { kind: "midway", ...place };
    if (lane === "midway") continue;
    const wasLost = lane.reader.isLost(side);
    let isFirst = true;
    for (const message of lane.reader.push(side, bytes)) {
      const { name, body } = message;
      if (name === "BackendKeyData" && body.length >= 4) processes.set(body.readInt32BE(0), connection);
      const statement = lane.texts.next(message);
      yield { kind: "message", ...message, ...place, isFirst, exchange: lane.done[side], statement };
      if (side === "frontend" ? ends.has(name) : name === "ReadyForQuery") lane.done[side]++;
      isFirst = false;
    }
    if (!wasLost && lane.reader.isLost(side)) yield { kind: "unreadable", ...place };
  }
}

/** Whether it begins like a packet of the startup phase: its length is plausible, and no type is in front. */
function isStart(bytes: Buffer): boolean {
  return bytes[0] === 0 && bytes[1] === 0;
}
