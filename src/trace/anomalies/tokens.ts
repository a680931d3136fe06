/**
 * A statement as tokens.
 *
 * Owns: names, literals, parameters and signs. Does not own: what they mean together (`access.ts`).
 * Invariant: where it is not sure it says nothing (undefined).
 */

/** A name is in lower case unless it was quoted; the text of a string or a number is its value. */
export interface Token {
  readonly kind: "name" | "string" | "number" | "parameter" | "sign";
  readonly text: string;
  readonly isQuoted?: boolean;
}

const pattern =
  /(?<blank>\s+|--[^\n]*)|(?<string>'(?:[^']|'')*')|(?<quoted>"(?:[^"]|"")*")|(?<parameter>\$\d+)|(?<number>\d+(?:\.\d+)?)|(?<name>[a-z_][\w$]*)|(?<sign>::|<=|>=|<>|!=|[-+*/=<>(),.;])/iy;

/** The tokens of a statement, without a semicolon at its end; undefined for what has others, such as E'' and $$. */
export function tokensOf(sql: string): readonly Token[] | undefined {
  if (/(?:^|[^\w$])(?:[eubxn]|u&)'/i.test(sql)) return undefined;
  const tokens: Token[] = [];
  pattern.lastIndex = 0;
  while (pattern.lastIndex < sql.length) {
    const groups = pattern.exec(sql)?.groups;
    if (!groups) return undefined;
    const { string, quoted, parameter, number, name, sign } = groups;
    if (string !== undefined) tokens.push({ kind: "string", text: string.slice(1, -1).replaceAll("''", "'") });
    else if (quoted !== undefined)
      tokens.push({ kind: "name", text: quoted.slice(1, -1).replaceAll('""', '"'), isQuoted: true });
    else if (parameter !== undefined) tokens.push({ kind: "parameter", text: parameter.slice(1) });
    else if (number !== undefined) tokens.push({ kind: "number", text: number });
    else if (name !== undefined) tokens.push({ kind: "name", text: name.toLowerCase() });
    else if (sign !== undefined) tokens.push({ kind: "sign", text: sign });
  }
  if (tokens.at(-1)?.text === ";") tokens.pop();
  return tokens;
}
