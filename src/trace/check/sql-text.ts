/**
 * What can be said about a statement without parsing it.
 *
 * Owns: telling text from literals and comments. Does not own: what follows from it.
 * Invariant: where it is not sure it says nothing (undefined).
 */

/** A statement's words and literals. */
export interface SqlText {
  /** In lower case; a literal is `''`, a comment a blank. */
  readonly words: string;
  readonly literals: readonly string[];
}

const pieces = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([A-Za-z_]*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\//g;

/** Reads a statement; undefined for one with escapes, whose literals may end elsewhere. */
export function readSql(sql: string): SqlText | undefined {
  if (/(?:^|[^\w$])[eu]&?'/i.test(sql)) return undefined;
  const literals: string[] = [];
  const words = sql.replaceAll(pieces, (piece) => {
    if (piece.startsWith('"')) return piece;
    if (piece.startsWith("'")) literals.push(piece.slice(1, -1).replaceAll("''", "'"));
    else if (piece.startsWith("$"))
      literals.push(piece.slice(piece.indexOf("$", 1) + 1, piece.lastIndexOf("$", piece.length - 2)));
    else return " ";
    return "''";
  });
  return { words: words.toLowerCase(), literals };
}

/** The highest number of its parameters. */
export function parameterCount({ words }: SqlText): number {
  return Math.max(0, ...[...words.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number)));
}

const single = /^[^;]*;?\s*$/;

/** The command tags that it can have; undefined where anything is possible. */
export function possibleTags({ words }: SqlText): readonly string[] | undefined {
  if (!single.test(words)) return undefined;
  return tags.get(/^\s*([a-z]+)/.exec(words)?.[1] ?? "");
}

const tags: ReadonlyMap<string, readonly string[]> = new Map([
  ["select", ["SELECT"]],
  ["insert", ["INSERT"]],
  ["update", ["UPDATE"]],
  ["delete", ["DELETE"]],
  ["begin", ["BEGIN"]],
  ["start", ["START"]],
  ["commit", ["COMMIT", "ROLLBACK"]],
  ["rollback", ["ROLLBACK"]],
  ["set", ["SET"]],
  ["listen", ["LISTEN"]],
  ["notify", ["NOTIFY"]],
]);

const called = /[a-z_"]\s*\(/g;

/**
 * Whether its rows have nothing but its own literals and parameters, and what is computed from them: it names no table and
 * calls nothing but generate_series.
 */
export function isConstant({ words }: SqlText): boolean {
  if (
    !single.test(words) ||
    !/^\s*select\b/.test(words) ||
    /\b(?:current_|session_|local|reg|user\b|with\b|table\b)/.test(words)
  ) {
    return false;
  }
  const rest = words.replaceAll(/\bfrom\s+generate_series\s*\([^()]*\)/g, "");
  return !/\bfrom\b/.test(rest) && !called.test(rest.replaceAll(/\b(?:in|values|and|or|not|as|on)\s*\(/g, ""));
}
