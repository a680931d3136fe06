/**
 * SQL text cut into its statements, as PostgreSQL's own lexer would cut it.
 *
 * Owns: parentheses, BEGIN ATOMIC bodies, and the words that a statement consists of. Does not own: where a token ends
 * (`../sql/tokens.ts`); grammar; text that PostgreSQL refuses is cut somewhere, without an error.
 * Invariant: pure; every character outside whitespace, comments and separators belongs to exactly one statement, in
 * order, and a text that PostgreSQL accepts gives as many statements as PostgreSQL sends CommandComplete messages.
 * Mirrors src/fe_utils/psqlscan.l.
 */
import { isWordAt, pastBlank, pastToken } from "../sql/tokens.ts";
import type { Place } from "./sql-place.ts";

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
  /** The file that it is in. */
  readonly path: string;
  /** Where it begins in the file's text. */
  readonly offset: number;
  readonly place: Place;
  /** Its statements, as offsets into `text` of the chunk. */
  readonly statements: readonly SqlStatement[];
  /** The data of its one statement, a COPY … FROM STDIN; to be taken once, and before the next chunk. */
  readonly copyData?: AsyncIterable<Uint8Array>;
}

/** How many words of a statement are kept: enough to tell `COPY … FROM STDIN` with options from others. */
const WORD_LIMIT = 64;

/** Splits `sql` into its statements. Empty statements (`;;`, only comments) are left out, as PostgreSQL does. */
export function splitStatements(sql: string): SqlStatement[] {
  const statements: SqlStatement[] = [];
  for (let next = nextStatement(sql, 0); next; next = nextStatement(sql, next.past)) statements.push(next.statement);
  return statements;
}

/** A statement, the offset past it and its `;`, and whether that `;` was found before the end of the text. */
interface NextStatement {
  readonly statement: SqlStatement;
  readonly past: number;
  readonly isEnded: boolean;
}

/** Whether a statement reads data from the client. */
export function copiesFromStdin({ words }: SqlStatement): boolean {
  return words[0] === "copy" && words.some((word, i) => word === "stdin" && words[i - 1] === "from");
}

/** The first statement from an offset on, which is not inside of one. `escapes`: see `pastToken`. */
export function nextStatement(sql: string, from: number, escapes = false): NextStatement | undefined {
  let open: OpenStatement | undefined;
  for (let at = from; at < sql.length; ) {
    const past = pastBlank(sql, at);
    if (past > at) {
      at = past;
      continue;
    }
    const end = pastToken(sql, at, escapes);
    if (sql[at] !== ";" || open?.isInside()) {
      open ??= new OpenStatement(at);
      open.take(sql, at, end);
    } else if (open) return { statement: open, past: end, isEnded: true };
    at = end;
  }
  return open && { statement: open, past: sql.length, isEnded: false };
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
    else if (this.#parentheses === 0 && isWordAt(sql, start)) this.#takeWord(sql.slice(start, end).toLowerCase());
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
