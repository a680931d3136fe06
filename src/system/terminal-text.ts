/**
 * Escapes foreign text (names, values, errors) for a terminal.
 *
 * Owns: which characters have an effect there, and their escapes, which are psql's. Does not own: where text is printed.
 * Invariant: line feeds and tabs stay; the escaped text cannot move the cursor, set the title or reverse text.
 */

/** C0 except tab and line feed, DEL, C1, and characters that change the text direction or begin a line. */
const active = /(?![\t\n])[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** Returns the text with such characters written as `\x1B` or `\u202E`. */
export function escapeForTerminal(text: string): string {
  return text.replaceAll(active, (character) => {
    const code = character.charCodeAt(0);
    const digits = code.toString(16).toUpperCase();
    return code < 0x80 ? `\\x${digits.padStart(2, "0")}` : `\\u${digits.padStart(4, "0")}`;
  });
}

/** Returns JSON with such characters in its strings as equivalent JSON escapes. */
export function escapeJson(json: string): string {
  return json.replaceAll(active, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
