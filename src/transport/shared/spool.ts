/**
 * A temporary file that goes with the process, whatever happens.
 *
 * Owns: the file. Does not own: what is in it. Invariant: it is unlinked as soon as it is open.
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

// Read back at a time; larger than the engine's own receive buffer.
const WINDOW_BYTES = 1024 * 1024;

/** Bytes that are appended and read back. */
export class Spool {
  readonly #file: number = openUnlinked();
  /** How many there are. */
  length = 0;

  append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at, bytes.length - at);
    this.length += bytes.length;
  }

  /** Up to a megabyte from `start` on, in memory of its own or in `window`. Throws behind the end. */
  read(start: number, window: Buffer = Buffer.allocUnsafe(Math.min(WINDOW_BYTES, this.length - start))): Buffer {
    const bytes = readSync(this.#file, window, 0, window.length, start);
    if (bytes === 0) throw new Error("a temporary file ended early");
    return window.subarray(0, bytes);
  }

  /** To be called once. */
  discard(): void {
    closeSync(this.#file);
  }
}

function openUnlinked(): number {
  const directory = mkdtempSync(join(tmpdir(), "pglite-socket-spool-"));
  try {
    return openSync(join(directory, "data"), "wx+", 0o600);
  } finally {
    try {
      rmSync(directory, { recursive: true, force: true });
    } catch {
      // Windows keeps a directory while a file in it is open; the system's temporary directory is cleaned there.
    }
  }
}
