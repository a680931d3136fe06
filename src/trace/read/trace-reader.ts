/**
 * A trace's file, or two, as records.
 *
 * Owns: the form of a line, which parts belong together, which connection is which. Does not own: messages
 * (`traced-messages.ts`), the writing (`../record/`).
 * Invariant: what cannot be read is an error that names the file and the line; only a last line may be cut off.
 */
import type { TraceTarget } from "../../engine/listener.ts";
import { UsageError } from "../../errors.ts";
import type { Side } from "../../wire/message-names.ts";
import { traceBegin, traceEnd, traceFormat } from "../record/trace-file.ts";
import { readLines, readTail } from "./trace-lines.ts";

/** Where in which file something stands. */
interface Place {
  readonly file: string;
  readonly line: number;
}

/** One line of a trace; times in microseconds since it began. A connection has a number of its own, that no other one gets. */
export type TraceRecord = Place &
  (
    | {
        readonly kind: "bytes";
        readonly time: number;
        readonly connection: number;
        readonly side: Side;
        readonly bytes: Buffer;
      }
    | { readonly kind: "closed"; readonly time: number; readonly connection: number }
    | {
        readonly kind: "decision";
        readonly time: number;
        readonly processId: number;
        readonly decision: string;
        readonly on: string;
      }
    | { readonly kind: "dropped"; readonly count: number }
  );

/** What a trace says about itself. */
type Header = TraceTarget["header"];

/** A trace, to be read as often as one likes. */
export interface Trace {
  readonly header: Header;
  /** The beginning was dropped: connections that began there are known from their middle on. */
  readonly isPartial: boolean;
  /** What is missing at the end, in a sentence; whoever wrote it was ended, or writes it still. */
  readonly cutOff?: string | undefined;
  /** The records in their order. Throws a `UsageError` for a line that is broken. */
  records(): Generator<TraceRecord>;
}

interface Part {
  readonly file: string;
  readonly number: number;
  readonly header: Header;
  /** It goes on where the part before it ends. */
  readonly continues: boolean;
  /** Its last line says that it is the end, unless it was cut off. */
  readonly ends: boolean;
}

/** Opens a trace, with the part before it. Throws a `UsageError` for a file that is none. */
export function openTrace(file: string): Trace {
  const last = readPart(file);
  const before = last.number > 1 ? readPartBefore(file, last) : undefined;
  const parts = before ? [before, last] : [last];
  return {
    header: last.header,
    isPartial: parts[0]!.number > 1,
    cutOff: parts.map((part, index) => cutOff(part, parts[index + 1])).find(Boolean),
    records: () => readRecords(parts),
  };
}

function cutOff({ file, ends }: Part, next: Part | undefined): string | undefined {
  const tail = readTail(file, traceEnd.length);
  if (!tail.endsWith("\n")) return `${file} is cut off: its last line is not whole`;
  if (next?.continues || !ends || tail === traceEnd) return undefined;
  return `${file} is cut off, or written still: it has no end, and the last moment may be missing`;
}

/** Whether there is such a file and it is a trace. */
export function isTrace(file: string): boolean {
  try {
    for (const { text } of readLines(file)) return text.startsWith(traceBegin);
  } catch {
    // One that is not there, or cannot be read, is none.
  }
  return false;
}

function readPart(file: string): Part {
  let text: string | undefined;
  try {
    text = readLines(file).next().value?.text;
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}`, { cause: error });
  }
  if (text === undefined) throw new UsageError(`${file}: this trace is empty: nobody listened yet`);
  if (!text.startsWith(traceBegin)) throw new UsageError(`${file}: this is not a trace of pglite-devdb`);
  const header = parse(text);
  if (!header) throw new UsageError(`${file}, line 1: broken`);
  if (header.format !== traceFormat) {
    const versions = `format ${header.format}; this version of pglite-devdb reads format ${traceFormat}`;
    throw new UsageError(`${file}: a trace of ${versions}`);
  }
  const { part, continues, ends } = header;
  const own = header as unknown as Header;
  return { file, number: Number(part), header: own, continues: continues === true, ends: ends === true };
}

/** The part before it, if it is there and of the same trace. */
function readPartBefore(file: string, { number, header }: Part): Part | undefined {
  try {
    const part = readPart(`${file}.1`);
    return part.number === number - 1 && part.header.began === header.began ? part : undefined;
  } catch {
    return undefined;
  }
}

type Line = Readonly<Record<string, unknown>>;

function parse(line: string): Line | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Line) : undefined;
  } catch {
    return undefined;
  }
}

function* readRecords(parts: readonly Part[]): Generator<TraceRecord> {
  const numbers = new ConnectionNumbers();
  for (const { file } of parts) {
    for (const { text, number: line, isCutOff } of readLines(file)) {
      const data = parse(text);
      if (line === 1 && data && data.continues !== true) numbers.begin();
      if (line === 1 || data?.end === true) continue;
      const record = data && readRecord(data, { file, line }, numbers);
      if (record) yield record;
      else if (!isCutOff) throw new UsageError(`${file}, line ${line}: broken: this is not a record of a trace`);
    }
  }
}

function readRecord(data: Line, place: Place, numbers: ConnectionNumbers): TraceRecord | undefined {
  const { t: time, c, d, b, p, s, on, dropped } = data;
  if (typeof dropped === "number") return { ...place, kind: "dropped", count: dropped };
  if (typeof time !== "number") return undefined;
  if (typeof p === "number" && typeof s === "string") {
    const reason = typeof on === "string" ? on : "";
    return { ...place, kind: "decision", time, processId: p, decision: s, on: reason };
  }
  if (typeof c !== "number") return undefined;
  if (d === "closed") return { ...place, kind: "closed", time, connection: numbers.end(c) };
  if ((d !== "F" && d !== "B") || typeof b !== "string") return undefined;
  const side = d === "F" ? "frontend" : "backend";
  return { ...place, kind: "bytes", time, connection: numbers.of(c), side, bytes: Buffer.from(b, "base64") };
}

/** A server that begins anew begins to count anew. */
class ConnectionNumbers {
  readonly #open = new Map<number, number>();
  #last = 0;

  begin(): void {
    this.#open.clear();
  }

  of(given: number): number {
    const known = this.#open.get(given);
    if (known !== undefined) return known;
    // As it was given, where nobody has that number.
    this.#last = Math.max(this.#last + 1, given);
    this.#open.set(given, this.#last);
    return this.#last;
  }

  end(given: number): number {
    const number = this.of(given);
    this.#open.delete(given);
    return number;
  }
}
