/**
 * The files of PGlite's package, `pglite.data`, which are read when they are first needed.
 *
 * Owns: the open file, and standing in for its bytes where Emscripten divides them into files. Does not own: the files' names
 * and places in it, which Emscripten has; the file system (`memory-files.ts`).
 * Why: of 6 MB in 700 files (dictionaries, time zones, libraries) a server reads one or two.
 * Invariant: it is the file that was there at the start, also when another version has been installed since: it stays open.
 */
import assert from "node:assert/strict";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { pgliteFile } from "./pglite-files.ts";

/** See the head of the file. */
export class PackageFiles {
  readonly #file = openSync(pgliteFile("pglite.data"), "r");
  readonly #size = fstatSync(this.#file).size;
  /**
   * What Emscripten takes for the bytes: of their length, all zeros, and never written to or read, so that it takes no memory. A buffer
   * that may be resized always comes from the system and not from the allocator, which would clear it.
   */
  readonly #standIn = new ArrayBuffer(this.#size, { maxByteLength: this.#size });

  /** PGlite's option `fsBundle`, of which PGlite asks nothing else. */
  readonly bundle = { arrayBuffer: () => Promise.resolve(this.#standIn) } as Blob;

  /** How a file is read whose bytes these would be; undefined if they are those of another one. */
  readerOf(bytes: Uint8Array): (() => Uint8Array) | undefined {
    if (bytes.buffer !== this.#standIn) return undefined;
    const { byteOffset, length } = bytes;
    return () => {
      const read = new Uint8Array(length);
      assert(readSync(this.#file, read, 0, length, byteOffset) === length, "PGlite's files are as long as they were");
      return read;
    };
  }

  /** Afterwards nothing can be read any more. */
  close(): void {
    closeSync(this.#file);
  }
}
