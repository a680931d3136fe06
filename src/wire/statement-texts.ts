/**
 * Which statement a frontend message is about.
 *
 * Owns: the names of a connection's prepared statements and portals, and their texts. Does not own: SQL.
 */
import type { WireMessage } from "./connection-reader.ts";
import { ofStatement } from "./frames.ts";

/** Of one connection. */
export class StatementTexts {
  readonly #statements = new Map<string, string>();
  readonly #portals = new Map<string, string>();

  /** The texts of prepared statements, by their names. */
  get named(): ReadonlyMap<string, string> {
    return this.#statements;
  }

  /** Takes the next message of the client; the statement that it is about, if that is known. */
  next({ side, type, body }: WireMessage): string | undefined {
    if (side !== "frontend") return undefined;
    switch (type) {
      case "Q":
        return textAt(body, 0).text;
      case "P": {
        const { text: name, end } = textAt(body, 0);
        const { text } = textAt(body, end);
        this.#statements.set(name, text);
        return text;
      }
      case "B": {
        const { text: portal, end } = textAt(body, 0);
        const text = this.#statements.get(textAt(body, end).text);
        if (text !== undefined) this.#portals.set(portal, text);
        return text;
      }
      case "E":
        return this.#portals.get(textAt(body, 0).text);
      case "C":
      case "D":
        return (body[0] === ofStatement ? this.#statements : this.#portals).get(textAt(body, 1).text);
      default:
        return undefined;
    }
  }
}

/** A text that ends with zero, and where the next one begins. */
function textAt(body: Buffer, from: number): { text: string; end: number } {
  const found = body.indexOf(0, from);
  const end = found < 0 ? body.length : found;
  return { text: body.toString("utf8", from, end), end: end + 1 };
}
