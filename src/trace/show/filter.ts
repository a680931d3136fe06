/**
 * What of a trace is shown.
 *
 * Owns: the decision about each event, in the terminal and in the page. Does not own: how it is shown (`show.ts`, `page/`).
 * Invariant: with `statements` a pipeline is shown from the message on that is about such a statement, with its answers.
 * It runs in a browser, too.
 */

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

/** A name of a table in the text of a statement. */
export function tablePattern(table: string): RegExp {
  const name = table.replaceAll(/[^\p{L}\p{N}_$]/gu, String.raw`\$&`);
  return new RegExp(String.raw`(?<![\p{L}\p{N}_$])${name}(?![\p{L}\p{N}_$])`, "iu");
}

/** What of an event is looked at. */
type FilteredEvent =
  | { readonly kind: "dropped" }
  | { readonly kind: "closed"; readonly time: number; readonly connection: number }
  | { readonly kind: "midway" | "unreadable" | "decision"; readonly time: number }
  | {
      readonly kind: "message";
      readonly time: number;
      readonly connection: number;
      readonly exchange: number;
      readonly side: "frontend" | "backend";
      readonly name: string;
      readonly statement?: string | undefined;
    };

/** Decides about the events of one trace, in their order. */
export class EventFilter {
  readonly #filter: ShowFilter;
  /** The pipelines of each connection that are about such a statement, the oldest first; answers come later. */
  readonly #wanted = new Map<number, number[]>();

  constructor(filter: ShowFilter) {
    this.#filter = filter;
  }

  /** `connection`: of which it is, if that is known. */
  shows(event: FilteredEvent, connection: number | undefined): boolean {
    const { connections, messages, since = 0, until = Number.POSITIVE_INFINITY, statements } = this.#filter;
    const isWanted = statements.length === 0 || (event.kind === "message" && this.#isAbout(event));
    if (event.kind === "closed") this.#wanted.delete(event.connection);
    if (event.kind === "dropped") return true;
    if (connections && (connection === undefined || !connections.has(connection))) return false;
    if (event.time < since || event.time > until) return false;
    if (messages && !(event.kind === "message" && messages.has(event.name.toLowerCase()))) return false;
    return isWanted;
  }

  #isAbout({ connection, exchange, side, statement }: FilteredEvent & { kind: "message" }): boolean {
    const wanted = this.#wanted.get(connection) ?? [];
    this.#wanted.set(connection, wanted);
    if (side === "backend") {
      while (wanted.length > 0 && wanted[0]! < exchange) wanted.shift();
      return wanted[0] === exchange;
    }
    if (wanted.at(-1) === exchange) return true;
    if (statement === undefined || !this.#filter.statements.every((pattern) => pattern.test(statement))) return false;
    wanted.push(exchange);
    return true;
  }
}
