/**
 * What a statement reads and writes, as far as its text tells.
 *
 * Owns: the few forms of statements that are understood. Does not own: what was in the rows (`transactions.ts`).
 * Invariant: what is not understood to the last token is `other`; a read takes no locks.
 */
import { type Token, tokensOf } from "./tokens.ts";

/** A literal, or a parameter by its number from 1. */
type Value = { readonly literal: string } | { readonly parameter: number };

/** What a column is set to; `moved`: itself and something that is not 0. */
type SetTo = Value | "moved" | "unknown";

/** `column = value`, or what is true of each row that is read. */
interface Condition {
  readonly column: string;
  /** Undefined: the rows' value is not known. */
  readonly value: Value | undefined;
}

/** One statement. */
export type Access =
  | {
      readonly kind: "read";
      readonly table: string;
      /** By their place in the result; `*`: they have the names of the result's. */
      readonly columns: "*" | readonly string[];
      readonly conditions: readonly Condition[];
    }
  | {
      readonly kind: "write";
      readonly table: string;
      readonly key: { readonly column: string; readonly value: Value };
      readonly sets: ReadonlyMap<string, SetTo>;
    }
  | { readonly kind: "begin"; readonly isRepeatableRead: boolean }
  | { readonly kind: "end" }
  /** `names`: every name in it, and what is between two double quotes; `changes`: it may change or lock something; `isOpaque`: it may
   * have read rows of tables that it does not name, or locked them. */
  | {
      readonly kind: "other";
      readonly names: ReadonlySet<string>;
      readonly changes: boolean;
      readonly isOpaque: boolean;
    };

const harmless = /^\s*(?:select|show|explain|fetch|listen|unlisten|notify|discard|deallocate)\b/i;

/** By a statement of SQL's PREPARE, a function, a cursor; behind a view. */
const opaque =
  /^\s*(?:execute|call|do|fetch)\b|^\s*select\b(?!.*\bfrom\b).*\(|\bfor\s+(?:update|share|no\s+key|key\s+share)\b/is;

/** Reads a statement. */
export function accessOf(sql: string): Access {
  const tokens = tokensOf(sql);
  const found = tokens && understand(tokens);
  if (found) return found;
  const lower = sql.toLowerCase();
  const names = new Set([...(lower.match(/[\p{L}_][\p{L}\p{N}_$]*/gu) ?? []), ...lower.split('"')]);
  return { kind: "other", names, changes: !harmless.test(sql), isOpaque: opaque.test(sql) };
}

function understand(tokens: readonly Token[]): Access | undefined {
  const words = tokens.map(({ text }) => text).join(" ");
  if (/^(?:commit|end|rollback|abort)(?: (?:work|transaction))?$/.test(words)) return { kind: "end" };
  const begins = /^(?:begin|start transaction)(?: (?:work|transaction))?(?: isolation level (.*))?$/.exec(words);
  if (begins) return { kind: "begin", isRepeatableRead: begins[1] === "repeatable read" };
  const reader = new Reader(tokens);
  try {
    if (reader.takes("select")) return reader.select();
    if (reader.takes("update")) return reader.update();
  } catch (error) {
    if (!(error instanceof NotUnderstood)) throw error;
  }
  return undefined;
}

class NotUnderstood extends Error {}

const reserved = new Set([
  "from",
  "where",
  "set",
  "limit",
  "for",
  "order",
  "group",
  "join",
  "and",
  "or",
  "not",
  "as",
  "only",
]);

class Reader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  takes(word: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.text !== word || token.isQuoted || token.kind === "string") return false;
    this.#at++;
    return true;
  }

  select(): Access {
    const columns: string[] = [];
    const isAll = this.takes("*");
    if (!isAll) {
      do {
        columns.push(this.#column());
        if (this.takes("as")) this.#name();
      } while (this.takes(","));
    }
    this.#must("from");
    const table = this.#table();
    const conditions = this.takes("where") ? this.#conditions() : [];
    if (this.takes("order")) {
      this.#must("by");
      do {
        this.#column();
        if (!this.takes("asc")) this.takes("desc");
      } while (this.takes(","));
    }
    // What was left out by it was not in the answer either.
    if (this.takes("limit")) this.#mustValue();
    this.#end();
    return { kind: "read", table, columns: isAll ? "*" : columns, conditions };
  }

  update(): Access {
    const table = this.#table();
    this.#must("set");
    const sets = new Map<string, SetTo>();
    do {
      const column = this.#column();
      this.#must("=");
      sets.set(column, this.#setTo(column));
    } while (this.takes(","));
    this.#must("where");
    const [key, ...more] = this.#conditions();
    if (!key?.value || more.length > 0 || sets.has(key.column)) throw new NotUnderstood();
    this.#end();
    return { kind: "write", table, key: { column: key.column, value: key.value }, sets };
  }

  #setTo(column: string): SetTo {
    const from = this.#at;
    const value = this.#value();
    if (value && this.#isBehindSet()) return value;
    this.#at = from;
    if (this.#token()?.kind === "name" && !reserved.has(this.#token()!.text)) {
      const isItself = this.#column() === column;
      const by = isItself && (this.takes("+") || this.takes("-")) ? this.#value() : undefined;
      if (by && "literal" in by && Number(by.literal) !== 0 && this.#isBehindSet()) return "moved";
    }
    this.#at = from;
    for (let depth = 0; this.#token() && (depth > 0 || !this.#isBehindSet()); this.#at++) {
      // A subselect is more than what one column is set to.
      if (this.#token()!.text === "select") throw new NotUnderstood();
      if (this.#token()!.text === "(") depth++;
      if (this.#token()!.text === ")") depth--;
    }
    return "unknown";
  }

  #isBehindSet(): boolean {
    const token = this.#token();
    return token !== undefined && !token.isQuoted && token.kind !== "string" && /^(?:,|where)$/.test(token.text);
  }

  /** Joined by `and`, in parentheses or not. */
  #conditions(): Condition[] {
    const found: Condition[] = [];
    do {
      if (this.takes("(")) {
        found.push(...this.#conditions());
        this.#must(")");
      } else found.push(this.#condition());
    } while (this.takes("and"));
    return found;
  }

  #condition(): Condition {
    if (this.takes("not")) return { column: this.#column(), value: { literal: "false" } };
    const column = this.#column();
    if (this.takes("is")) {
      const is = ["true", "false"].find((word) => this.takes(word));
      if (is === undefined) throw new NotUnderstood();
      return { column, value: { literal: is } };
    }
    if (this.takes("=")) return { column, value: this.#mustValue() };
    if (["<", ">", "<=", ">=", "<>", "!="].some((sign) => this.takes(sign))) {
      this.#mustValue();
      return { column, value: undefined };
    }
    return { column, value: { literal: "true" } };
  }

  #mustValue(): Value {
    const value = this.#value();
    if (!value) throw new NotUnderstood();
    return value;
  }

  #value(): Value | undefined {
    const sign = this.takes("-") ? "-" : "";
    const token = this.#token();
    const isNumber = token?.kind === "number";
    const isWord = token?.kind === "name" && !token.isQuoted && /^(?:true|false)$/.test(token.text);
    if (!token || (sign !== "" && !isNumber)) return undefined;
    if (!isNumber && !isWord && token.kind !== "string" && token.kind !== "parameter") return undefined;
    this.#at++;
    if (this.takes("::")) this.#name();
    return token.kind === "parameter" ? { parameter: Number(token.text) } : { literal: sign + token.text };
  }

  #table(): string {
    let table = this.#name();
    if (this.takes(".")) table = `${table}.${this.#name()}`;
    const isAlias = this.takes("as");
    const token = this.#token();
    if (isAlias || (token?.kind === "name" && (token.isQuoted || !reserved.has(token.text)))) this.#name();
    return table;
  }

  /** The last part of its name. */
  #column(): string {
    let column = this.#name();
    while (this.takes(".")) column = this.#name();
    return column;
  }

  #name(): string {
    const token = this.#token();
    if (token?.kind !== "name" || (!token.isQuoted && reserved.has(token.text))) throw new NotUnderstood();
    this.#at++;
    return token.text;
  }

  #must(word: string): void {
    if (!this.takes(word)) throw new NotUnderstood();
  }

  #end(): void {
    if (this.#at < this.#tokens.length) throw new NotUnderstood();
  }

  #token(): Token | undefined {
    return this.#tokens[this.#at];
  }
}
