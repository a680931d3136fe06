/**
 * A file of SQL, read and checked, with the places in it as a person counts them.
 *
 * Owns: decoding (UTF-8 only), the checksum, the cut into statements, line and column. Does not own: what a file means
 * to a migration tool, or running it.
 * Invariant: `text` is what the engine gets; an offset into it maps to the line that an editor shows.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isAbsolute, relative } from "node:path";
import { MigrationError } from "../errors.ts";
import { isForPsql, psqlChunks } from "./psql-file.ts";
import { type SqlChunk, splitStatements } from "./split-statements.ts";

/** A file of SQL as it is on disk. */
export interface SqlFile {
  /** Absolute. */
  readonly path: string;
  /** Without a byte order mark, which PostgreSQL would take for a word. */
  readonly text: string;
  /** SHA-256 of the file's bytes, in hexadecimal: what drizzle-orm and Prisma store. */
  readonly checksum: string;
}

/** Reads a file. Throws a `MigrationError` that names it when it is missing or not UTF-8 text. */
export async function readSqlFile(path: string): Promise<SqlFile> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new MigrationError(`${displayPath(path)} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw notText(path, error);
  }
  // A NUL would end the Query message in the middle of the file.
  if (text.includes("\0")) throw notText(path);
  return { path, text, checksum: sha256(bytes) };
}

/**
 * The checksums that a file may have had when it was applied, with the line endings as they are now, as LF and as CRLF:
 * Git changes line endings from one machine to the next.
 */
export function checksumsOfAnyLineEnding(file: SqlFile): readonly string[] {
  return [file.checksum, sha256(file.text.replaceAll("\r\n", "\n")), sha256(file.text.replaceAll("\n", "\r\n"))];
}

/** SHA-256 in hexadecimal. */
export function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** Cuts a file's text at a separator, or a dump as psql reads it, into chunks. Chunks without a statement are left out. */
export function chunksOf(text: string, separator?: string): SqlChunk[] {
  if (separator === undefined && isForPsql(text)) return psqlChunks(text);
  const chunks: SqlChunk[] = [];
  let offset = 0;
  for (const part of separator === undefined ? [text] : text.split(separator)) {
    const statements = splitStatements(part);
    if (statements.length > 0) chunks.push({ text: part, offset, statements });
    offset += part.length + (separator?.length ?? 0);
  }
  return chunks;
}

/** Line and column of an offset, both from 1; a column is a character, not a UTF-16 unit. CRLF, LF and CR end a line. */
export function lineAndColumn(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset).split(/\r\n|\r|\n/);
  return { line: before.length, column: [...before.at(-1)!].length + 1 };
}

/** The offset of the `position`th character (from 1, the error field `P`): PostgreSQL counts characters. */
export function offsetOfCharacter(text: string, position: number): number {
  let offset = 0;
  for (let n = 1; n < position && offset < text.length; n++) offset += text.codePointAt(offset)! > 0xffff ? 2 : 1;
  return offset;
}

/** A path as a message shows it: relative to the working directory where that is shorter to read. */
export function displayPath(path: string): string {
  const short = relative(process.cwd(), path);
  return short === "" || short.startsWith("..") || isAbsolute(short) ? path : short;
}

function notText(path: string, cause?: unknown): MigrationError {
  return new MigrationError(
    `${displayPath(path)} is not UTF-8 text (a UTF-16 file from a redirection in PowerShell?): save it as UTF-8`,
    { cause },
  );
}
