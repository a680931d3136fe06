/**
 * The names and texts in a client's messages.
 *
 * Owns: where they lie in a message. Does not own: what they stand for (`statements.ts`).
 * Invariant: pure; a message that is cut short names nothing.
 */
import { type Frame, ofStatement, readCString, Type } from "../wire/frames.ts";

/** Whether a Describe or Close is about a statement, not a portal. */
export function isOfStatement({ bytes }: Frame): boolean {
  return bytes[5] === ofStatement;
}

/** The string at `at`; empty if it has no end. */
export function text(frame: Frame, at: number): string {
  return readCString(frame.bytes, at)?.text ?? "";
}

/** The prepared statement that a message names. */
export function statementName({ type, bytes }: Frame): string | undefined {
  if (type === Type.Parse) return readCString(bytes, 5)?.text;
  if (type === Type.Describe || type === Type.Close) {
    return isOfStatement({ type, bytes }) ? readCString(bytes, 6)?.text : undefined;
  }
  if (type !== Type.Bind) return undefined;
  const portal = readCString(bytes, 5);
  return portal && readCString(bytes, portal.next)?.text;
}

/** What a Parse says; `sqlAt` is where its text begins. */
export function readParse({ type, bytes }: Frame): { name: string; sql: string; sqlAt: number } | undefined {
  const name = type === Type.Parse ? readCString(bytes, 5) : undefined;
  const sql = name && readCString(bytes, name.next);
  return sql && { name: name.text, sql: sql.text, sqlAt: name.next };
}
