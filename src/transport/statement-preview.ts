/**
 * What is shown of a client's statement: in `db.stats()`, in a log, in a message to who waits for it.
 *
 * Owns: how much of it, and its form. Does not own: where it is shown.
 * Invariant: what is kept is a copy, so that it keeps no batch alive.
 */
import { type Frame, Type } from "../wire/frames.ts";

/** So much is kept of a statement. */
const statementBytes = 120;

/** The beginning of the last Query or Parse; undefined if there is none. */
export function previewOf(frames: readonly Frame[]): Buffer | undefined {
  const frame = frames.findLast(({ type }) => type === Type.Query || type === Type.Parse);
  if (!frame) return undefined;
  const start = frame.type === Type.Query ? 5 : frame.bytes.indexOf(0, 5) + 1;
  const text = frame.bytes.subarray(start, start + statementBytes);
  const end = text.indexOf(0);
  return Buffer.from(end === -1 ? text : text.subarray(0, end));
}

/** A preview as one line. */
export function readable(statement: Buffer): string {
  return statement.toString("utf8").replaceAll(/\s+/g, " ").trim();
}

/** A preview as one line, which is never empty. */
export function shown(statement: Buffer): string {
  return readable(statement) || "(none)";
}
