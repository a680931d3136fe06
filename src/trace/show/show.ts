/**
 * A trace for a person: a row for each message, a lane for each connection.
 *
 * Owns: the rows. Does not own: the words of a message (`wire/message-words.ts`), what is left out (`filter.ts`).
 * Invariant: a row at a time: what it keeps does not grow with the trace.
 */
import { messageWords } from "../../wire/message-words.ts";
import type { Trace } from "../read/trace-reader.ts";
import { type TracedMessage, type TraceEvent, traceEvents } from "../read/traced-messages.ts";
import { EventFilter, type ShowFilter } from "./filter.ts";
import { Lanes } from "./lanes.ts";

/** How it is shown. */
export interface ShowOptions {
  readonly filter: ShowFilter;
  /** Also whose turn it was; else only who waits for a lock, and until when. */
  readonly decisions: boolean;
  readonly color: boolean;
  /** A row is cut there; undefined: not at all. */
  readonly width: number | undefined;
}

/** The rows of a trace, with their line breaks. */
export function* showTrace(trace: Trace, options: ShowOptions): Generator<string> {
  const { versions, by, began } = trace.header;
  const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  yield `${new Date(began).toISOString()}, recorded by a ${[by, ...names].join(", ")}\n`;
  if (trace.isPartial) yield "(the beginning was dropped: the trace had reached its limit)\n";
  const processes = new Map<number, number>();
  const filter = new EventFilter(options.filter);
  const rows = new Rows(processes, options);
  for (const event of traceEvents(trace, processes)) {
    const connection = "connection" in event ? event.connection : undefined;
    const whose = connection ?? ("processId" in event ? processes.get(event.processId) : undefined);
    rows.follow(event, whose);
    if (filter.shows(event, whose)) yield* rows.of(event, whose);
    if (event.kind === "closed") rows.forget(event.connection);
  }
}

const colors = { red: 31, yellow: 33, magenta: 35, cyan: 36, gray: 90 } as const;

type Color = keyof typeof colors;

class Rows {
  readonly #processes: ReadonlyMap<number, number>;
  readonly #options: ShowOptions;
  readonly #lanes = new Lanes();
  /** Those whose wait for a lock was shown. */
  readonly #waiting = new Set<number>();

  constructor(processes: ReadonlyMap<number, number>, options: ShowOptions) {
    this.#processes = processes;
    this.#options = options;
  }

  /** Keeps the lanes, also for what is not shown. */
  follow(event: TraceEvent, connection: number | undefined): void {
    if (connection === undefined) return;
    if (event.kind !== "decision") this.#lanes.open(connection);
    else if (event.decision === "wait" && event.on.startsWith("lock")) this.#lanes.waits(connection, true);
    else if (event.decision === "woken") this.#lanes.waits(connection, false);
  }

  forget(connection: number): void {
    this.#lanes.close(connection);
    this.#waiting.delete(connection);
  }

  *of(event: TraceEvent, connection: number | undefined): Generator<string> {
    switch (event.kind) {
      case "message":
        yield this.#message(event);
        break;
      case "closed":
        yield this.#row(event.time, connection, "×", "(closed)", "gray");
        break;
      case "midway":
        yield this.#row(event.time, connection, "?", "(began before this trace; not shown)", "gray");
        break;
      case "unreadable":
        yield this.#row(event.time, connection, "?", "(what follows is not the protocol)", "red");
        break;
      case "dropped":
        yield `(here ${event.count} records are missing: the disk was too slow)\n`;
        break;
      case "decision":
        yield* this.#decision(event, connection);
    }
  }

  *#decision({ time, decision, on, processId }: TraceEvent & { kind: "decision" }, connection: number | undefined) {
    const isForLock = decision === "wait" && on.startsWith("lock of ");
    const wasWaiting = connection !== undefined && decision === "woken" && this.#waiting.delete(connection);
    if (isForLock && connection !== undefined) this.#waiting.add(connection);
    if (!isForLock && !wasWaiting && !this.#options.decisions) return;
    const who = connection === undefined ? ` of process ${processId}` : "";
    const words = isForLock ? `wait for a lock of ${this.#holders(on)}` : `${decision}${on && ` for ${on}`}`;
    yield this.#row(time, connection, decision === "wait" ? "┊" : "│", `(${words}${who})`, "magenta");
  }

  /** Process ids as connections, where they are known. */
  #holders(on: string): string {
    const ids = on.slice("lock of ".length).split(", ").map(Number);
    return ids
      .map((id) => (this.#processes.has(id) ? `connection ${this.#processes.get(id)}` : `process ${id}`))
      .join(", ");
  }

  #message(message: TracedMessage): string {
    const { time, connection, side, name, isFirst, type } = message;
    const direction = side === "frontend" ? "F" : "B";
    const sign = side === "frontend" ? (isFirst ? ">" : "»") : isFirst ? "<" : "«";
    const words = messageWords(message, this.#options.width);
    const color = side === "frontend" ? "cyan" : type === "E" ? "red" : type === "N" ? "yellow" : undefined;
    return this.#row(time, connection, sign, `${direction} ${name}${words && ` ${words}`}`, color);
  }

  #row(time: number, connection: number | undefined, sign: string, words: string, color: Color | undefined): string {
    const { color: isColored, width } = this.#options;
    const seconds = (time / 1e6).toFixed(6).padStart(11);
    const head = `${seconds}  ${this.#lanes.row(connection, sign)}  ${String(connection ?? "").padStart(3)}  `;
    const room = width === undefined ? words.length : Math.max(width - head.length, 20);
    const text = words.length > room ? `${words.slice(0, room - 1)}…` : words;
    return isColored && color ? `${head}\u001b[${colors[color]}m${text}\u001b[0m\n` : `${head}${text}\n`;
  }
}
