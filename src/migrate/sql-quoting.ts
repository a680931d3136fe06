/**
 * Names and texts as SQL tokens, for the statements that this project writes itself.
 *
 * Owns: quoting. Does not own: user input of clients, which is never put into SQL text here.
 * Mirrors quote_identifier and quote_literal (src/backend/utils/adt/quote.c).
 */

/** `name` as a quoted identifier. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** `text` as a string constant that means the same with every `standard_conforming_strings`. */
export function quoteLiteral(text: string): string {
  const doubled = text.replaceAll("'", "''");
  return doubled.includes("\\") ? `E'${doubled.replaceAll("\\", "\\\\")}'` : `'${doubled}'`;
}
