/**
 * The words of the isolation suite's language.
 *
 * Owns: cutting a text into tokens. Does not own: the grammar (`parse-spec.ts`).
 * Invariant: a SQL block loses its outer blanks and is otherwise untouched, because the tester prints it as it is.
 * Mirrors src/test/isolation/specscanner.l of PostgreSQL's source.
 */

/** A word of the language; a quoted keyword is an identifier. */
export interface Token {
  readonly kind: "keyword" | "identifier" | "sql" | "number" | "mark" | "end";
  readonly text: string;
  readonly line: number;
}

const keywords: ReadonlySet<string> = new Set(["notices", "permutation", "session", "setup", "step", "teardown"]);

const shapes: readonly (readonly [Token["kind"] | "nothing", RegExp])[] = [
  ["nothing", /#[^\n\r]*|[ \t\r\f\n]+/y],
  ["identifier", /[A-Za-z_\u0080-\uffff][A-Za-z_0-9$\u0080-\uffff]*/y],
  ["identifier", /"((?:[^"\n]|"")*)"/y],
  ["sql", /\{[ \t\r\f]*([^}]*?)[ \t\r\f]*\}/y],
  ["number", /\d+/y],
  ["mark", /[,()*]/y],
];

/** All tokens and an `end`. Throws with the line of what is no token. */
export function scanSpec(text: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  for (let at = 0; at < text.length; ) {
    const [kind, found] = match(text, at);
    if (!found) throw new Error(`line ${line}: unexpected ${JSON.stringify(text.slice(at, at + 20))}`);
    const quoted = found[0].startsWith('"');
    const content = (found[1] ?? found[0]).replaceAll('""', quoted ? '"' : '""');
    const isKeyword = kind === "identifier" && !quoted && keywords.has(content);
    if (kind !== "nothing") tokens.push({ kind: isKeyword ? "keyword" : kind, text: content, line });
    line += found[0].split("\n").length - 1;
    at += found[0].length;
  }
  tokens.push({ kind: "end", text: "the end", line });
  return tokens;
}

function match(text: string, at: number): readonly [Token["kind"] | "nothing", RegExpExecArray | null] {
  for (const [kind, shape] of shapes) {
    shape.lastIndex = at;
    const found = shape.exec(text);
    if (found) return [kind, found];
  }
  return ["nothing", null];
}
