/**
 * What the page of a trace is given.
 *
 * Owns: the shape. Does not own: how it is made (`collect.ts`), what is drawn of it (`browser/`).
 * Invariant: arrays by event have one entry for each event, in the order of the trace. It runs in a browser, too.
 */

/** What happens. */
export const eventKinds = ["message", "closed", "midway", "unreadable", "dropped", "decision"] as const;

/** A connection, with what its startup packet says. */
interface PageConnection {
  readonly number: number;
  readonly processId: number | undefined;
  readonly label: string;
}

/** Events, an array for each of their properties. */
export interface EventColumns {
  /** Microseconds since the event before. */
  readonly time: number[];
  /** An index of `eventKinds`. */
  readonly kind: number[];
  /** 0 where it is not known. */
  readonly connection: number[];
  /** An index of `names`; 0: it is no message. */
  readonly name: number[];
  /** 1: of the client. */
  readonly isFrontend: number[];
  /** 1: the first one of a data event or a write. */
  readonly isFirst: number[];
  readonly exchange: number[];
  /** Its words, an index of `texts`. */
  readonly text: number[];
  /** What it is about, an index of `texts`; -1 where that is not known. */
  readonly statement: number[];
  /** Its line, minus that of the event before. */
  readonly line: number[];
  /** An index of `files`. */
  readonly file: number[];
  /** How many bytes it has, and how many of these are in the page. */
  readonly length: number[];
  readonly kept: number[];
}

/** All of it but the bytes. */
export interface PageData {
  readonly file: string;
  readonly began: number;
  readonly by: string;
  readonly versions: Readonly<Record<string, string>>;
  /** The beginning of the trace was dropped. */
  readonly isPartial: boolean;
  readonly connections: readonly PageConnection[];
  readonly names: readonly string[];
  readonly texts: readonly string[];
  readonly files: readonly string[];
  readonly events: EventColumns;
  /** Waits for locks: the event, and the connections who hold it. */
  readonly waits: readonly (readonly [event: number, holders: readonly number[]])[];
  /** Events that end such a wait. */
  readonly woken: readonly number[];
}
