/**
 * What of a trace is shown.
 *
 * Owns: the decision about each event. Does not own: how it is shown (`show.ts`).
 * Invariant: with `sql` or `table` a pipeline is shown from the message on that is about such a statement, with its answers.
 */
import { StatementTexts } from "../../wire/statement-texts.ts";
import type { TracedMessage, TraceEvent } from "../read/traced-messages.ts";

/** All that is given has to fit. */
export interface ShowFilter {
  readonly connections?: ReadonlySet<number>;
  /** Names of messages, in lower case. */
  readonly messages?: ReadonlySet<string>;
  /** In microseconds since the trace began. */
  readonly since?: number;
  readonly until?: number;
  /** Each has to be in the statement. */
  readonly statements: readonly RegExp[];
}

/** Decides about the events of one trace, in their order. */
export class EventFilter {
  readonly #filter: ShowFilter;
  readonly #texts = new Map<number, StatementTexts>();
  /** The pipelines of each connection that are about such a statement, the oldest first; answers come later. */
  readonly #wanted = new Map<number, number[]>();

  constructor(filter: ShowFilter) {
    this.#filter = filter;
  }

  /** `connection`: of which it is, if that is known. */
  shows(event: TraceEvent, connection: number | undefined): boolean {
    const { connections, messages, since = 0, until = Number.POSITIVE_INFINITY, statements } = this.#filter;
    const isWanted = statements.length === 0 || (event.kind === "message" && this.#isAbout(event));
    if (event.kind === "closed") this.#forget(event.connection);
    if (event.kind === "dropped") return true;
    if (connections && (connection === undefined || !connections.has(connection))) return false;
    if (event.time < since || event.time > until) return false;
    if (messages && !(event.kind === "message" && messages.has(event.name.toLowerCase()))) return false;
    return isWanted;
  }

  #isAbout(message: TracedMessage): boolean {
    const { connection, exchange, side } = message;
    const wanted = this.#wanted.get(connection) ?? [];
    this.#wanted.set(connection, wanted);
    if (side === "backend") {
      while (wanted.length > 0 && wanted[0]! < exchange) wanted.shift();
      return wanted[0] === exchange;
    }
    const texts = this.#texts.get(connection) ?? new StatementTexts();
    this.#texts.set(connection, texts);
    const text = texts.next(message);
    if (wanted.at(-1) === exchange) return true;
    if (text === undefined || !this.#filter.statements.every((pattern) => pattern.test(text))) return false;
    wanted.push(exchange);
    return true;
  }

  #forget(connection: number): void {
    this.#texts.delete(connection);
    this.#wanted.delete(connection);
  }
}
