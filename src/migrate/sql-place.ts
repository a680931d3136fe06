/**
 * Places in a file, counted as editors and as PostgreSQL count them.
 *
 * Owns: lines, columns, characters, and how a path is shown. Does not own: the text at a place.
 */
import { isAbsolute, relative } from "node:path";

/** A place in a text, both from 1; a column is a character, not a UTF-16 unit. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** The first place of a file. */
export const start: Place = { line: 1, column: 1 };

/** Returns the place after `text`, which begins at `from`. CRLF, LF and CR end a line. */
export function placeAfter(text: string, from: Place = start): Place {
  let lines = count(text, "\n");
  let last = text.lastIndexOf("\n");
  if (text.includes("\r")) {
    lines += count(text, "\r") - count(text, "\r\n");
    last = Math.max(last, text.lastIndexOf("\r"));
  }
  const column = [...text.slice(last + 1)].length;
  return lines > 0
    ? { line: from.line + lines, column: column + 1 }
    : { line: from.line, column: from.column + column };
}

function count(text: string, what: string): number {
  let found = 0;
  for (let at = text.indexOf(what); at >= 0; at = text.indexOf(what, at + what.length)) found++;
  return found;
}

/** Returns the offset of the `position`th character (from 1, the error field `P`): PostgreSQL counts characters. */
export function offsetOfCharacter(text: string, position: number): number {
  let offset = 0;
  for (let n = 1; n < position && offset < text.length; n++) offset += text.codePointAt(offset)! > 0xffff ? 2 : 1;
  return offset;
}

/** Returns a path for messages: relative to the working directory if the file is below it. */
export function displayPath(path: string): string {
  const short = relative(process.cwd(), path);
  return short === "" || short.startsWith("..") || isAbsolute(short) ? path : short;
}

/** Returns a place in a file in the form that editors and terminals accept. */
export function describePlaceIn(path: string, { line, column }: Place): string {
  return `${displayPath(path)}:${line}:${column}`;
}
