/**
 * Text of others (names, values, errors) that goes to a terminal.
 *
 * Owns: which characters would do something there, and how they are written instead, as psql does. Does not own: where text is printed.
 * Invariant: line feeds and tabs stay; whatever is printed moves no cursor, sets no title and turns no text around.
 */

/** C0 but for tab and line feed, DEL, C1, and what changes the direction of text or begins a line. */
const active = /(?![\t\n])[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** The text with such characters as `\x1B` or `\u202E`. */
export function escapeForTerminal(text: string): string {
  return text.replaceAll(active, (character) => {
    const code = character.charCodeAt(0);
    const digits = code.toString(16).toUpperCase();
    return code < 0x80 ? `\\x${digits.padStart(2, "0")}` : `\\u${digits.padStart(4, "0")}`;
  });
}

/** JSON with such characters in its strings as JSON escapes, which mean the same. */
export function escapeJson(json: string): string {
  return json.replaceAll(active, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
