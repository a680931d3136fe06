/**
 * The two SQL statements that must be recognised before the engine runs them.
 *
 * Owns: telling COPY … FROM STDIN (the engine would wait for data that cannot come while it runs) and DEALLOCATE name
 * (names belong to a connection) from everything else. Does not own: where a token ends (`../sql/tokens.ts`), any other
 * SQL; transaction state is never told from text. Invariant: pure; text that it does not understand is "something else".
 * Mirrors the lexical rules of the manual's "SQL Syntax" and CopyStmt/DeallocateStmt in src/backend/parser/gram.y.
 */
import { type Token, tokenize } from "../sql/tokens.ts";

/** COPY … FROM STDIN as the only statement of its string. */
export interface CopyIn {
  /** The table as it was written, quotes included. */
  readonly table: string;
  /** How many columns were listed; undefined where the table's own count. */
  readonly columns: number | undefined;
  /** 0 for text and CSV, 1 for binary. */
  readonly format: 0 | 1;
}

/**
 * Whether a Query or Parse message surely holds neither of the two, nor a DISCARD: cheap, as it is asked of each.
 */
export function isOrdinary(message: Uint8Array): boolean {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.length);
  return !/copy|deallocate|discard/i.test(bytes.toString("latin1"));
}

/** Whether `sql` may hold a COPY from the client at all; never wrong when it says no. */
export function mayCopyIn(sql: string): boolean {
  return /\bcopy\b/i.test(sql) && /\bstd(in|out)\b/i.test(sql);
}

/**
 * Reads `sql` as one COPY … FROM STDIN. `'mixed'` when it stands in one string with other statements; undefined when
 * there is none.
 */
export function copyIn(sql: string): CopyIn | "mixed" | undefined {
  if (!mayCopyIn(sql)) return undefined;
  const statements = split(tokenize(sql));
  const copies = statements.map((tokens) => readCopyIn(sql, tokens));
  const copy = copies.find((found) => found !== undefined);
  return copy && statements.length > 1 ? "mixed" : copy;
}

/** The name in `DEALLOCATE [PREPARE] name` where that is all of `sql`; undefined otherwise, also for ALL. */
export function deallocatedName(sql: string): string | undefined {
  if (!/\bdeallocate\b/i.test(sql)) return undefined;
  const statements = split(tokenize(sql));
  const [tokens] = statements;
  if (statements.length !== 1 || !tokens || !isWord(tokens[0], "deallocate")) {
    return undefined;
  }
  const rest = tokens.slice(isWord(tokens[1], "prepare") && tokens.length > 2 ? 2 : 1);
  const [name] = rest;
  if (rest.length !== 1 || !name || isWord(name, "all")) return undefined;
  return name.kind === "word" || name.kind === "quoted" ? name.text : undefined;
}

function readCopyIn(sql: string, tokens: Token[]): CopyIn | undefined {
  if (!isWord(tokens[0], "copy")) return undefined;
  const binaryFirst = isWord(tokens[1], "binary") && tokens[2]?.text !== "from";
  const first = binaryFirst ? 2 : 1;
  const from = atDepthZero(tokens, first, (token) => isWord(token, "from"));
  const source = tokens[from + 1];
  // gram.y takes STDOUT for STDIN here.
  if (from < 0 || !(isWord(source, "stdin") || isWord(source, "stdout"))) {
    return undefined;
  }
  const list = tokens.findIndex((token, i) => i >= first && i < from && token.text === "(" && token.kind === "symbol");
  const tableEnd = list < 0 ? from : list;
  const start = tokens[first];
  const end = tokens[tableEnd - 1];
  if (!start || !end || tableEnd <= first) return undefined;
  const commas = tokens.slice(list, from).filter(isComma).length;
  return {
    table: sql.slice(start.start, end.end),
    columns: list < 0 ? undefined : commas + 1,
    format: binaryFirst || hasBinaryOption(tokens.slice(from + 2)) ? 1 : 0,
  };
}

// `WITH BINARY`, `BINARY`, `(FORMAT binary)`, `(FORMAT 'binary')`
function hasBinaryOption(options: Token[]): boolean {
  const where = atDepthZero(options, 0, (token) => isWord(token, "where"));
  const before = where < 0 ? options : options.slice(0, where);
  const legacy = atDepthZero(before, 0, (token) => isWord(token, "binary"));
  return (
    legacy >= 0 || before.some((token, i) => isWord(token, "format") && before[i + 1]?.text.toLowerCase() === "binary")
  );
}

function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === "word" && token.text === word;
}

function isComma(token: Token): boolean {
  return token.kind === "symbol" && token.text === ",";
}

function atDepthZero(tokens: Token[], from: number, wanted: (token: Token) => boolean): number {
  let depth = 0;
  return tokens.findIndex((token, i) => {
    if (i < from) return false;
    if (token.kind === "symbol" && token.text === "(") depth++;
    if (token.kind === "symbol" && token.text === ")") depth--;
    return depth === 0 && wanted(token);
  });
}

function split(tokens: Token[]): Token[][] {
  const statements: Token[][] = [[]];
  for (const token of tokens) {
    if (token.kind === "symbol" && token.text === ";") statements.push([]);
    else statements.at(-1)!.push(token);
  }
  return statements.filter((statement) => statement.length > 0);
}
