/**
 * A file of SQL: its checksums, and its text in chunks.
 *
 * Owns: the input of a checksum, and the cut at a migration tool's separators. Does not own: bytes and encodings (`sql-bytes.ts`), the usual cut
 * (`sql-chunks.ts`), a file's meaning to a migration tool, the execution.
 */
import { createHash } from "node:crypto";
import { type SqlChunk, splitStatements } from "./split-statements.ts";
import { openSqlBytes, type SqlBytes } from "./sql-bytes.ts";
import { sqlChunks } from "./sql-chunks.ts";
import { placeAfter } from "./sql-place.ts";

/** SHA-256, in hexadecimal. */
interface Checksums {
  /** The checksum of the file's bytes, which drizzle-orm and Prisma store. */
  readonly bytes: string;
  /** Of its text with these line endings: Git changes them from one machine to the next. */
  readonly lf: string;
  readonly crlf: string;
}

/** Options of a file. */
interface OpenOptions {
  /** How messages call it, if not by its path. */
  readonly name?: string;
  /** Whether a statement is passed over. */
  readonly leavesOut?: (sql: string) => boolean;
}

/** See the head of the file. */
export class SqlFile {
  readonly #bytes: SqlBytes;
  readonly #leavesOut: OpenOptions["leavesOut"];
  #checksums: Promise<Checksums> | undefined;

  private constructor(bytes: SqlBytes, leavesOut: OpenOptions["leavesOut"]) {
    this.#bytes = bytes;
    this.#leavesOut = leavesOut;
  }

  /** Rejects with a `MigrationError` that names it when it is missing, or not SQL text. */
  static async open(path: string, { name = path, leavesOut }: OpenOptions = {}): Promise<SqlFile> {
    return new SqlFile(await openSqlBytes(path, name), leavesOut);
  }

  /** For messages. */
  get path(): string {
    return this.#bytes.name;
  }

  /** In bytes. */
  get size(): number {
    return this.#bytes.size;
  }

  /** Reads the file, once. */
  checksums(): Promise<Checksums> {
    this.#checksums ??= readChecksums(this.#bytes);
    return this.#checksums;
  }

  /** From the start at each call; with a separator it is cut there and nowhere else. Chunks without a statement are left out. */
  chunks(separator?: string): AsyncIterable<SqlChunk> {
    return separator === undefined ? sqlChunks(this.#bytes, this.#leavesOut) : separateChunks(this.#bytes, separator);
  }
}

async function readChecksums(file: SqlBytes): Promise<Checksums> {
  const hashes = { bytes: createHash("sha256"), lf: createHash("sha256"), crlf: createHash("sha256") };
  for await (const piece of file.bytes()) hashes.bytes.update(piece);
  let kept = "";
  for await (const piece of file.text()) {
    const text = kept + piece;
    // The next text may have its other half.
    kept = text.endsWith("\r") ? "\r" : "";
    const lf = text.slice(0, text.length - kept.length).replaceAll("\r\n", "\n");
    hashes.lf.update(lf);
    hashes.crlf.update(lf.replaceAll("\n", "\r\n"));
  }
  hashes.lf.update(kept);
  hashes.crlf.update(kept);
  return { bytes: hashes.bytes.digest("hex"), lf: hashes.lf.digest("hex"), crlf: hashes.crlf.digest("hex") };
}

async function* separateChunks(file: SqlBytes, separator: string): AsyncGenerator<SqlChunk> {
  let text = "";
  for await (const piece of file.text()) text += piece;
  let offset = 0;
  for (const part of text.split(separator)) {
    const statements = splitStatements(part);
    const place = placeAfter(text.slice(0, offset));
    if (statements.length > 0) yield { path: file.name, text: part, offset, place, statements };
    offset += part.length + separator.length;
  }
}
