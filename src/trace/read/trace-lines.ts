/**
 * A file, line by line.
 *
 * Owns: reading it in pieces, and its end. Does not own: what a line says (`trace-reader.ts`).
 * Invariant: it keeps one piece and one line, however long the file is.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

const pieceBytes = 256 * 1024;
const lineBreak = 0x0a;

/** A line without its break; ASCII only. */
interface FileLine {
  readonly text: string;
  /** From 1. */
  readonly number: number;
  /** It has no break: whoever wrote it was ended. */
  readonly isCutOff: boolean;
}

/** The lines of a file. Throws what the system says. */
export function* readLines(file: string): Generator<FileLine> {
  const descriptor = openSync(file, "r");
  try {
    const piece = Buffer.alloc(pieceBytes);
    let begun = "";
    let number = 0;
    for (let length = readSync(descriptor, piece); length > 0; length = readSync(descriptor, piece)) {
      let from = 0;
      for (let end = piece.indexOf(lineBreak); end >= 0 && end < length; end = piece.indexOf(lineBreak, from)) {
        const text = begun + piece.toString("latin1", from, end);
        begun = "";
        from = end + 1;
        yield { text, number: ++number, isCutOff: false };
      }
      begun += piece.toString("latin1", from, length);
    }
    if (begun !== "") yield { text: begun, number: ++number, isCutOff: true };
  } finally {
    closeSync(descriptor);
  }
}

/** The last bytes of a file, no more than so many. Throws what the system says. */
export function readTail(file: string, bytes: number): string {
  const descriptor = openSync(file, "r");
  try {
    const piece = Buffer.alloc(bytes);
    const from = Math.max(0, fstatSync(descriptor).size - bytes);
    return piece.toString("latin1", 0, readSync(descriptor, piece, 0, bytes, from));
  } finally {
    closeSync(descriptor);
  }
}
