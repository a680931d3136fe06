/**
 * The object that a configuration module exports by default, as far as it is written down literally.
 *
 * Owns: a reader for the shapes that such modules have: `export default { … }`, `export default defineConfig({ … })`,
 * `module.exports = …`, and a constant of such a value that is exported by name; in JavaScript or TypeScript. Does not
 * own: running code, or what the keys mean.
 * Invariant: pure; what would have to be run to be known is reported as unknown, never guessed.
 */

/** An object literal. */
export interface ObjectLiteral {
  /** The value of a property: text, a nested object, or undefined when it is no literal of these two. */
  readonly properties: ReadonlyMap<string, string | ObjectLiteral | undefined>;
  /** Whether a spread or a computed key may add properties that are not listed. */
  readonly open: boolean;
}

interface Token {
  readonly kind: "word" | "string" | "mark";
  readonly text: string;
}

const BLANK = /(?:\s|\/\/[^\n\r]*|\/\*[\s\S]*?\*\/)+/y;
const WORD = /[\p{ID_Start}$_][\p{ID_Continue}$]*/uy;
const NUMBER = /\d[\w.]*/y;
const STRING = /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\$]|\\.|\$(?!\{))*`/y;
/** A template whose text is only known at run time; an expression with braces or backticks of its own is too much. */
const TEMPLATE = /`(?:[^`\\$]|\\.|\$(?!\{)|\$\{[^`{}]*\})*`/y;
const REGULAR_EXPRESSION = /\/(?![*/])(?:[^\\/[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const MARK = /\.\.\.|=>|===?|[^\s\w/'"`]/uy;

/**
 * Reads the default export of a module's source text. Gives undefined when it is not written as an object literal, or
 * when the text has something that this reader does not know.
 */
export function readDefaultExport(source: string): ObjectLiteral | undefined {
  const tokens = tokenise(source);
  if (tokens === undefined) return undefined;
  const at = tokens.findIndex((_, i) => isExport(tokens, i));
  if (at < 0) return undefined;
  return readExported(tokens, at + (tokens[at]!.text === "module" ? 4 : 2));
}

function isExport(tokens: readonly Token[], at: number): boolean {
  return matches(tokens, at, "export", "default") || matches(tokens, at, "module", ".", "exports", "=");
}

/** The object that the expression at `at` is, if it is one. */
function readExported(tokens: readonly Token[], at: number): ObjectLiteral | undefined {
  const token = tokens[at];
  if (token?.kind === "mark" && token.text === "{") {
    const { object, next } = readObject(tokens, at);
    // `{ … }.production` or `{ … }[name]` is another value than the object.
    return [".", "[", "?"].includes(tokens[next]?.text ?? "") ? undefined : object;
  }
  if (matches(tokens, at, "defineConfig", "(")) return readExported(tokens, at + 2);
  if (token?.kind !== "word") return undefined;
  const declaredAt = tokens.findIndex((_, i) => matches(tokens, i, "const", token.text));
  // A third mention could change the object.
  if (declaredAt < 0 || tokens.filter(({ kind, text }) => kind === "word" && text === token.text).length !== 2)
    return undefined;
  const valueAt = tokens.findIndex(({ text }, i) => i > declaredAt && text === "=") + 1;
  return tokens[valueAt]?.text === token.text ? undefined : readExported(tokens, valueAt);
}

/** `at` is at the `{`; `next` is past the `}`. */
function readObject(tokens: readonly Token[], at: number): { object: ObjectLiteral; next: number } {
  const properties = new Map<string, string | ObjectLiteral | undefined>();
  let open = false;
  let next = at + 1;
  while (next < tokens.length && tokens[next]!.text !== "}") {
    const key = tokens[next]!;
    if (key.kind === "mark") {
      // A spread, or a computed key: it may also replace what is written before it.
      open = true;
      properties.clear();
      next = pastValue(tokens, next + 1);
    } else if (matches(tokens, next + 1, ":")) {
      const end = pastValue(tokens, next + 2);
      properties.set(key.text, readValue(tokens, next + 2, end));
      next = end;
    } else {
      properties.set(key.text, undefined);
      next = pastValue(tokens, next + 1);
    }
    if (tokens[next]?.text === ",") next++;
  }
  return { object: { properties, open }, next: next + 1 };
}

function readValue(tokens: readonly Token[], at: number, end: number): string | ObjectLiteral | undefined {
  const token = tokens[at]!;
  const plainEnd = ["as", "satisfies"].includes(tokens[at + 1]?.text ?? "") ? at + 1 : end;
  if (token.kind === "string" && plainEnd === at + 1) return token.text;
  if (token.kind !== "mark" || token.text !== "{") return undefined;
  const { object, next } = readObject(tokens, at);
  return next === end ? object : undefined;
}

/** The index of the `,` or closing bracket that ends the expression at `at`. */
function pastValue(tokens: readonly Token[], at: number): number {
  let depth = 0;
  for (let i = at; i < tokens.length; i++) {
    const { kind, text } = tokens[i]!;
    if (kind !== "mark") continue;
    if (depth === 0 && (text === "," || text === "}")) return i;
    if ("([{".includes(text)) depth++;
    else if (")]}".includes(text)) depth--;
  }
  return tokens.length;
}

function matches(tokens: readonly Token[], at: number, ...texts: string[]): boolean {
  return texts.every((text, i) => tokens[at + i]?.kind !== "string" && tokens[at + i]?.text === text);
}

function tokenise(source: string): Token[] | undefined {
  const tokens: Token[] = [];
  for (let at = 0; at < source.length; ) {
    const blank = match(BLANK, source, at);
    if (blank !== undefined) {
      at += blank.length;
      continue;
    }
    const token = tokenAt(source, at, tokens.at(-1));
    if (token === undefined) return undefined;
    tokens.push(token.token);
    at += token.length;
  }
  return tokens;
}

function tokenAt(source: string, at: number, before?: Token): { token: Token; length: number } | undefined {
  const word = match(WORD, source, at) ?? match(NUMBER, source, at);
  if (word !== undefined) return { token: { kind: "word", text: word }, length: word.length };
  if (source[at] === "/") {
    // After a value, the slash is a division.
    const divides = before && (before.kind !== "mark" ? before.text !== "return" : /[)\]}]/.test(before.text));
    const expression = divides ? undefined : match(REGULAR_EXPRESSION, source, at);
    return expression === undefined
      ? { token: { kind: "mark", text: "/" }, length: 1 }
      : { token: { kind: "word", text: "`" }, length: expression.length };
  }
  const mark = match(MARK, source, at);
  if (mark !== undefined) return { token: { kind: "mark", text: mark }, length: mark.length };
  const string = match(STRING, source, at);
  if (string === undefined) {
    const template = match(TEMPLATE, source, at);
    return template === undefined ? undefined : { token: { kind: "word", text: "`" }, length: template.length };
  }
  // Of the escapes only those that stand for the next character; a path needs no others.
  if (/\\[^\\'"`/]/.test(string.replaceAll("\\\\", "")))
    return { token: { kind: "word", text: "`" }, length: string.length };
  return { token: { kind: "string", text: string.slice(1, -1).replace(/\\(.)/g, "$1") }, length: string.length };
}

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}
