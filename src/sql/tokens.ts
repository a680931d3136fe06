/**
 * SQL text cut into its tokens, as PostgreSQL's own lexer would cut it.
 *
 * Owns: quotes, dollar quotes, comments, words. Does not own: statements (`../migrate/split-statements.ts`), what a token means.
 * Invariant: pure; every text is cut somewhere, without an error: what is unfinished goes to its end.
 *
 * Unless a caller says otherwise, `standard_conforming_strings` is on, the default since 9.1 (a backslash is an escape in E'' only).
 * Mirrors src/backend/parser/scan.l.
 */

/** One token, as offsets into the text. */
interface Token {
  readonly kind: "word" | "quoted" | "string" | "symbol";
  /** A word in lower case; what is in a quoted identifier or a string; anything else as it is. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const SPACE = /[ \t\n\r\f\v]+/y;
const LINE_COMMENT = /--[^\n\r]*/y;
const WORD = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y;
const NUMBER = /\d[\w.]*/y;
const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
/** Two string constants that only whitespace with a newline separates are one: the second has the rules of the first. */
// A comment goes to the end of its line, so that there is one way only to read a run of dashes.
const STRING_CONTINUES = /[ \t\f\v]*(?:--[^\n\r]*)?[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*'/y;

/** All tokens of a text. */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = [];
  for (let start = pastBlanks(sql, 0); start < sql.length; ) {
    const end = pastToken(sql, start);
    tokens.push({ ...readToken(sql, start, end), start, end });
    start = pastBlanks(sql, end);
  }
  return tokens;
}

/** The comments of a text that begin with `--`. */
export function* lineComments(sql: string): Generator<{ readonly start: number; readonly text: string }> {
  for (let at = 0; at < sql.length; ) {
    const past = pastBlank(sql, at);
    if (sql.startsWith("--", at)) yield { start: at, text: sql.slice(at, past) };
    at = past > at ? past : pastToken(sql, at);
  }
}

function readToken(sql: string, start: number, end: number): Pick<Token, "kind" | "text"> {
  const text = sql.slice(start, end);
  if (text.startsWith('"')) return { kind: "quoted", text: unquote(text, '"') };
  if (/^e?'/i.test(text)) return { kind: "string", text: unquote(text.slice(text.indexOf("'")), "'") };
  if (text.length > 1 && text.startsWith("$"))
    return { kind: "string", text: text.slice(text.indexOf("$", 1) + 1, text.lastIndexOf("$", text.length - 2)) };
  return isWordAt(sql, start) ? { kind: "word", text: text.toLowerCase() } : { kind: "symbol", text };
}

/** The escapes of E'' stay as they are written. */
function unquote(text: string, quote: string): string {
  return text.slice(1, -1).replaceAll(quote + quote, quote);
}

/** Whether the token at an offset is an unquoted word. */
export function isWordAt(sql: string, at: number): boolean {
  return matchEnd(WORD, sql, at) >= 0 && !/^e'/i.test(sql.slice(at, at + 2));
}

/** The offset past all whitespace and comments from an offset on. */
export function pastBlanks(sql: string, from: number): number {
  let at = from;
  for (let past = pastBlank(sql, at); past > at; past = pastBlank(sql, at)) at = past;
  return at;
}

/** The offset past whitespace or one comment at `at`; `at` itself when there is none. */
export function pastBlank(sql: string, at: number): number {
  if (sql.startsWith("--", at)) return matchEnd(LINE_COMMENT, sql, at);
  if (sql.startsWith("/*", at)) return pastBlockComment(sql, at);
  return Math.max(at, matchEnd(SPACE, sql, at));
}

function pastBlockComment(sql: string, from: number): number {
  let depth = 0;
  for (let at = from; at < sql.length; ) {
    if (sql.startsWith("/*", at)) {
      depth++;
      at += 2;
    } else if (sql.startsWith("*/", at)) {
      depth--;
      at += 2;
      if (depth === 0) return at;
    } else at++;
  }
  return sql.length;
}

/** The offset past the token at `at`, which is not blank. `escapes`: a backslash is an escape in every string constant. */
export function pastToken(sql: string, at: number, escapes = false): number {
  const first = sql[at]!;
  if (first === "'" && escapes) return pastEscapeString(sql, at + 1);
  if (first === "'" || first === '"') return pastQuoted(sql, at + 1, first, false);
  if ((first === "E" || first === "e") && sql[at + 1] === "'") return pastEscapeString(sql, at + 2);
  if (first === "$") {
    const tagEnd = matchEnd(DOLLAR_TAG, sql, at);
    if (tagEnd < 0) return at + 1;
    const tag = sql.slice(at, tagEnd);
    const close = sql.indexOf(tag, tagEnd);
    return close < 0 ? sql.length : close + tag.length;
  }
  return Math.max(at + 1, matchEnd(WORD, sql, at), matchEnd(NUMBER, sql, at));
}

function pastEscapeString(sql: string, from: number): number {
  let end = pastQuoted(sql, from, "'", true);
  for (;;) {
    const continued = matchEnd(STRING_CONTINUES, sql, end);
    if (continued < 0) return end;
    end = pastQuoted(sql, continued, "'", true);
  }
}

/** `from` is past the opening quote. A doubled quote is part of the text. */
function pastQuoted(sql: string, from: number, quote: string, backslashEscapes: boolean): number {
  for (let at = from; at < sql.length; at++) {
    const character = sql[at];
    if (character === "\\" && backslashEscapes) at++;
    else if (character === quote) {
      if (sql[at + 1] !== quote) return at + 1;
      at++;
    }
  }
  return sql.length;
}

/** The end of a sticky pattern's match at `at`, or -1. */
function matchEnd(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : -1;
}
