/**
 * A file of SQL: its checksums, and its text in chunks.
 *
 * Owns: the input of a checksum, and the cut at a migration tool's separators. Does not own: bytes and encodings (`sql-bytes.ts`), the usual cut
 * (`sql-chunks.ts`), a file's meaning to a migration tool, the execution.
 */
import { createHash } from "node:crypto";
import { MigrationError } from "../errors.ts";
import { isOff, settingOf, whyNotEncoding, writeEscapes } from "./read-settings.ts";
import { type SqlChunk, splitStatements } from "./split-statements.ts";
import { openSqlBytes, type SqlBytes } from "./sql-bytes.ts";
import { sqlChunks } from "./sql-chunks.ts";
import { describePlaceIn, type Place, placeAfter } from "./sql-place.ts";

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

  /** Whether psql reads such a file. */
  get isForPsql(): boolean {
    return this.#bytes.isForPsql;
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
    const place = placeAfter(text.slice(0, offset));
    const { text: sent, statements } = withoutEncoding(file, part, place);
    if (statements.length > 0) yield { path: file.name, text: sent, offset, place, statements };
    offset += part.length + separator.length;
  }
}

/** Writes blanks over SET client_encoding, because PostgreSQL gets UTF-8. */
function withoutEncoding(file: SqlBytes, part: string, place: Place): Pick<SqlChunk, "text" | "statements"> {
  let text = part;
  const statements = splitStatements(part).filter((statement) => {
    const setting = settingOf(part, statement);
    if (setting === undefined) return true;
    const { start, end } = statement;
    const isEncoding = setting.name === "client_encoding";
    const why = isEncoding
      ? whyNotEncoding(setting.value, setting.isCall ? "UTF8" : file.encoding)
      : isOff(setting)
        ? `standard_conforming_strings = off is not supported between statement breakpoints\n  hint: ${writeEscapes}`
        : undefined;
    if (why !== undefined)
      throw new MigrationError(`${describePlaceIn(file.name, placeAfter(part.slice(0, start), place))}: ${why}`);
    if (!isEncoding || setting.isCall) return true;
    text = text.slice(0, start) + part.slice(start, end).replaceAll(/[^\r\n]/g, " ") + text.slice(end);
    return false;
  });
  return { text, statements };
}
