/**
 * A trace for a person: a row for each message, a lane for each connection.
 *
 * Owns: the rows. Does not own: their words (`event-words.ts`), what is left out (`filter.ts`).
 * Invariant: a row at a time: what it keeps does not grow with the trace.
 */
import { escapeForTerminal } from "../../system/terminal-text.ts";
import type { Trace } from "../read/trace-reader.ts";
import { type TraceEvent, traceEvents } from "../read/traced-messages.ts";
import { type Color, EventWords, lockHolders } from "./event-words.ts";
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

const colors: Readonly<Record<Color, number>> = { red: 31, yellow: 33, magenta: 35, cyan: 36, gray: 90 };

class Rows {
  readonly #options: ShowOptions;
  readonly #lanes = new Lanes();
  readonly #words: EventWords;

  constructor(processes: ReadonlyMap<number, number>, options: ShowOptions) {
    this.#options = options;
    this.#words = new EventWords(processes, options.decisions, options.width);
  }

  /** Keeps the lanes, also for what is not shown. */
  follow(event: TraceEvent, connection: number | undefined): void {
    if (connection === undefined) return;
    if (event.kind !== "decision") this.#lanes.open(connection);
    else if (lockHolders(event)) this.#lanes.waits(connection, true);
    else if (event.decision === "woken") this.#lanes.waits(connection, false);
  }

  forget(connection: number): void {
    this.#lanes.close(connection);
    this.#words.forget(connection);
  }

  *of(event: TraceEvent, connection: number | undefined): Generator<string> {
    const words = this.#words.of(event, connection);
    if (!words) return;
    if (event.kind === "dropped") yield `${escapeForTerminal(words.text)}\n`;
    else yield this.#row(event.time, connection, words.sign, words.text, words.color);
  }

  #row(time: number, connection: number | undefined, sign: string, foreign: string, color: Color | undefined): string {
    const words = escapeForTerminal(foreign).replaceAll("\n", "\\n");
    const { color: isColored, width } = this.#options;
    const seconds = (time / 1e6).toFixed(6).padStart(11);
    const head = `${seconds}  ${this.#lanes.row(connection, sign)}  ${String(connection ?? "").padStart(3)}  `;
    const room = width === undefined ? words.length : Math.max(width - head.length, 20);
    const text = words.length > room ? `${words.slice(0, room - 1)}…` : words;
    return isColored && color ? `${head}\u001b[${colors[color]}m${text}\u001b[0m\n` : `${head}${text}\n`;
  }
}
