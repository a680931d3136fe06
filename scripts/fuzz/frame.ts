/**
 * Frames with a readable name, and the steps that they make up.
 *
 * Owns: the notation in which conversations are written here: the `F` lines of test/support/wire-trace.ts and a few
 * messages that those do not have. Does not own: which conversations there are (`talk/`), or sending.
 * Invariant: `line` says what `bytes` were meant to be; what was changed afterwards is said in the line too.
 */
import { encodeMessage } from "../../src/wire/frontend.ts";
import { message } from "../../test/support/wire-client.ts";
import { encodeLine } from "../../test/support/wire-trace.ts";

/** One message, or what has become of one. */
export interface Frame {
  readonly line: string;
  readonly bytes: Buffer;
}

/** Messages that a client sends together, and what it waits for then. */
export interface Step {
  readonly frames: readonly Frame[];
  /**
   * What ends the wait: groups separated by spaces, each met by one message of any of its letters (`GE Z`: a
   * CopyInResponse or an error, then a ReadyForQuery). `byte` is one byte that is no message; `mark` is the row of
   * `lastQuestion`, and then it is an error if nothing comes; empty for no wait.
   */
  readonly answer: string;
}

/** The frame of an `F` line. */
export function frame(line: string): Frame {
  return { line, bytes: encodeLine(line) };
}

/** A step of `F` lines, or of frames that exist already. */
export function step(answer: string, ...parts: readonly (string | Frame)[]): Step {
  return { answer, frames: parts.map((part) => (typeof part === "string" ? frame(part) : part)) };
}

/** A Query and the wait for its end. */
export function ask(sql: string): Step {
  return step("Z", query(sql));
}

/** What the row of `lastQuestion` holds. */
export const mark = "still served";

/** Ends whatever is open and asks for one row, which a client that made no mistake must get. */
export const lastQuestion: Step = step("mark", "Sync", 'Query "rollback"', `Query "select '${mark}'"`);

/** Query. */
export function query(sql: string): Frame {
  return frame(`Query ${JSON.stringify(sql)}`);
}

/** A frame whose bytes are too many for a line. */
export function bigFrame(what: string, bytes: Buffer): Frame {
  return { line: `${what} (${bytes.length} bytes)`, bytes };
}

/** StartupMessage; unlike an `F` line it takes values with `=`. */
export function startup(parameters: Record<string, string>, major = 3, minor = 0): Frame {
  const words = Object.entries(parameters).map(([name, value]) => JSON.stringify(`${name}=${value}`));
  return {
    line: ["StartupMessage", `${major}.${minor}`, ...words].join(" "),
    bytes: message.startup(parameters, (major << 16) | minor),
  };
}

/** FunctionCall of a function by its oid, with text arguments and a text result. */
export function functionCall(oid: number, ...values: readonly string[]): Frame {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(oid, 0);
  head.writeInt16BE(0, 4);
  head.writeInt16BE(values.length, 6);
  const parts = values.flatMap((value) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(Buffer.byteLength(value));
    return [length, Buffer.from(value)];
  });
  return {
    line: ["FunctionCall", oid, ...values.map((value) => JSON.stringify(value))].join(" "),
    bytes: encodeMessage("F", head, ...parts, Buffer.alloc(2)),
  };
}
