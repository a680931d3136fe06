/**
 * SQL text cut into its statements, as PostgreSQL's own lexer would cut it.
 *
 * Owns: quotes, dollar quotes, comments, parentheses, BEGIN ATOMIC bodies, and the words that a statement consists of.
 * Does not own: grammar; text that PostgreSQL refuses is cut somewhere, without an error.
 * Invariant: pure; every character outside whitespace, comments and separators belongs to exactly one statement, in
 * order, and a text that PostgreSQL accepts gives as many statements as PostgreSQL sends CommandComplete messages.
 *
 * Assumes `standard_conforming_strings = on`, the default since 9.1 (a backslash is an escape in E'' only).
 * Mirrors src/backend/parser/scan.l and src/fe_utils/psqlscan.l.
 */

/** One statement, as offsets into the text that was split. */
export interface SqlStatement {
  /** The first character of the first token: leading comments are left out. */
  readonly start: number;
  /** Just past the last token, without the `;`. */
  readonly end: number;
  /** The unquoted words outside parentheses, in lower case; at most `WORD_LIMIT`. */
  readonly words: readonly string[];
  /** The first `\` outside quotes and comments: no SQL has one, so it is a psql meta-command. */
  readonly backslashAt: number | undefined;
}

/** A part of a file that is sent to the engine as one Query. */
export interface SqlChunk {
  readonly text: string;
  /** Where it begins in the file's text. */
  readonly offset: number;
  /** Its statements, as offsets into `text` of the chunk. */
  readonly statements: readonly SqlStatement[];
  /** The lines that follow its one statement, a COPY … FROM STDIN. */
  readonly copyData?: string;
}

/** How many words of a statement are kept: enough to tell `COPY … FROM STDIN` with options from others. */
const WORD_LIMIT = 64;

const SPACE = /[ \t\n\r\f\v]+/y;
const LINE_COMMENT = /--[^\n\r]*/y;
const WORD = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y;
const NUMBER = /\d[\w.]*/y;
const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
/** Two string constants that only whitespace with a newline separates are one: the second has the rules of the first. */
const STRING_CONTINUES = /(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*'/y;

/** Splits `sql` into its statements. Empty statements (`;;`, only comments) are left out, as PostgreSQL does. */
export function splitStatements(sql: string): SqlStatement[] {
  const statements: SqlStatement[] = [];
  for (let next = nextStatement(sql, 0); next; next = nextStatement(sql, next.past)) statements.push(next.statement);
  return statements;
}

/** The first statement from an offset on, which is not inside of one, and the offset past it and its `;`. */
export function nextStatement(sql: string, from: number): { statement: SqlStatement; past: number } | undefined {
  let open: OpenStatement | undefined;
  for (let at = from; at < sql.length; ) {
    const past = pastBlank(sql, at);
    if (past > at) {
      at = past;
      continue;
    }
    const end = pastToken(sql, at);
    if (sql[at] !== ";" || open?.isInside()) {
      open ??= new OpenStatement(at);
      open.take(sql, at, end);
    } else if (open) return { statement: open, past: end };
    at = end;
  }
  return open && { statement: open, past: sql.length };
}

/** The offset past all whitespace and comments from an offset on. */
export function pastBlanks(sql: string, from: number): number {
  let at = from;
  for (let past = pastBlank(sql, at); past > at; past = pastBlank(sql, at)) at = past;
  return at;
}

/** A statement whose end has not been seen yet. */
class OpenStatement implements SqlStatement {
  readonly start: number;
  readonly words: string[] = [];
  end: number;
  backslashAt: number | undefined;
  #parentheses = 0;
  /** BEGIN ATOMIC counts one, and every CASE inside of it, because both finish with END. */
  #atomicBlocks = 0;
  #previousWord = "";

  constructor(start: number) {
    this.start = start;
    this.end = start;
  }

  /** Whether a `;` here is part of the statement (CREATE RULE … DO (a; b), a routine's BEGIN ATOMIC … END). */
  isInside(): boolean {
    return this.#parentheses > 0 || this.#atomicBlocks > 0;
  }

  take(sql: string, start: number, end: number): void {
    this.end = end;
    const first = sql[start]!;
    if (first === "(") this.#parentheses++;
    else if (first === ")") this.#parentheses = Math.max(0, this.#parentheses - 1);
    else if (first === "\\") this.backslashAt ??= start;
    else if (this.#parentheses === 0 && matchEnd(WORD, sql, start) === end)
      this.#takeWord(sql.slice(start, end).toLowerCase());
  }

  #takeWord(word: string): void {
    if (this.words.length < WORD_LIMIT) this.words.push(word);
    if (this.#atomicBlocks > 0) {
      if (word === "case") this.#atomicBlocks++;
      else if (word === "end") this.#atomicBlocks--;
    } else if (word === "atomic" && this.#previousWord === "begin" && this.#createsRoutine()) {
      this.#atomicBlocks = 1;
    }
    this.#previousWord = word;
  }

  #createsRoutine(): boolean {
    const [first, second, third, fourth] = this.words;
    const what = second === "or" && third === "replace" ? fourth : second;
    return first === "create" && (what === "function" || what === "procedure");
  }
}

/** The offset past whitespace or one comment at `at`; `at` itself when there is none. */
function pastBlank(sql: string, at: number): number {
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

/** The offset past the token at `at`, which is not blank. */
function pastToken(sql: string, at: number): number {
  const first = sql[at]!;
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
