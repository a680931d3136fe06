/**
 * The statements of one connection, as far as its trace tells.
 *
 * Owns: names, texts, what was described. Does not own: whether an answer can be (`contents.ts`).
 */
import type { WireMessage } from "../../wire/connection-reader.ts";
import { ofStatement } from "../../wire/frames.ts";
import { parameterCount, readSql, type SqlText } from "./sql-text.ts";

/** A statement. */
export interface Statement {
  readonly sql: string;
  /** Undefined where its text cannot be read. */
  readonly text: SqlText | undefined;
  readonly parameters: number | undefined;
  /** How many columns it was described with; 0: it has no rows. */
  columns: number | undefined;
  /** The server has taken it. */
  isThere: boolean;
}

/** What a message of the client is about. */
export interface About {
  /** The message. */
  readonly asked: string;
  /** What it names: a statement, of Bind and Describe too. */
  readonly name?: string | undefined;
  readonly statement?: Statement | undefined;
  readonly portal?: Portal | undefined;
}

/** A bound one. */
interface Portal {
  readonly statement: Statement | undefined;
  readonly values: readonly string[];
  /** By their numbers; undefined for null. */
  readonly parameters: readonly (string | undefined)[];
  columns: number | undefined;
}

/** Reads fields of a message. */
class Fields {
  readonly #body: Buffer;
  at: number;

  constructor(body: Buffer, at = 0) {
    this.#body = body;
    this.at = at;
  }

  text(): string {
    const end = this.#body.indexOf(0, this.at);
    if (end < 0) throw new RangeError("a text without an end");
    const text = this.#body.toString("utf8", this.at, end);
    this.at = end + 1;
    return text;
  }

  int16(): number {
    this.at += 2;
    return this.#body.readInt16BE(this.at - 2);
  }

  /** A value in the text of its bytes; undefined for null. */
  value(): string | undefined {
    this.at += 4;
    const length = this.#body.readInt32BE(this.at - 4);
    if (length < 0) return undefined;
    this.at += length;
    return this.#body.toString("utf8", this.at - length, this.at);
  }
}

/** Of one connection. */
export class Statements {
  readonly #named = new Map<string, Statement>();
  readonly #portals = new Map<string, Portal>();

  /** Takes a message of the client; what it is about. */
  take({ type, name, body }: WireMessage): About {
    try {
      return { asked: name, ...this.#take(type, body) };
    } catch {
      return { asked: name };
    }
  }

  #take(type: string, body: Buffer): Omit<About, "asked"> {
    const fields = new Fields(body);
    switch (type) {
      case "Q": {
        const statement = describe(fields.text(), 0);
        this.#named.delete("");
        if (/\b(?:deallocate|discard)\b/i.test(statement.sql)) this.#named.clear();
        return { statement, portal: { statement, values: [], parameters: [], columns: undefined } };
      }
      case "P": {
        const name = fields.text();
        const statement = describe(fields.text(), fields.int16());
        this.#named.set(name, statement);
        if (/\b(?:deallocate|discard)\b/i.test(statement.sql)) this.#named.clear();
        return { statement, name };
      }
      case "B": {
        const [name, of] = [fields.text(), fields.text()];
        for (let formats = fields.int16(); formats > 0; formats--) fields.int16();
        const parameters = Array.from({ length: fields.int16() }, () => fields.value());
        const values = parameters.filter((value) => value !== undefined);
        const statement = this.#named.get(of);
        const portal = { statement, values, parameters, columns: statement?.columns };
        this.#portals.set(name, portal);
        return { statement, portal, name: of };
      }
      case "E": {
        const portal = this.#portals.get(fields.text());
        return { statement: portal?.statement, portal };
      }
      case "D":
      case "C": {
        const isStatement = body[0] === ofStatement;
        fields.at = 1;
        const name = fields.text();
        const statement = isStatement ? this.#named.get(name) : undefined;
        const portal = isStatement ? undefined : this.#portals.get(name);
        if (type === "C" && isStatement) this.#named.delete(name);
        return { statement: statement ?? portal?.statement, portal, name };
      }
      default:
        return {};
    }
  }
}

function describe(sql: string, types: number): Statement {
  const text = readSql(sql);
  return { sql, text, parameters: text && Math.max(types, parameterCount(text)), columns: undefined, isThere: false };
}
