/**
 * Reads the bytes of a SQL file as text, in pieces.
 *
 * Owns: the file's kind (compressed, an archive of pg_dump, UTF-16) and byte order mark. Does not own: encodings (`sql-encodings.ts`),
 * statements (`sql-chunks.ts`), checksums (`sql-file.ts`).
 * Invariant: no character is replaced or lost: an error names the file and the line that cannot be decoded.
 */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { MigrationError } from "../errors.ts";
import { declaredEncoding, headBytes } from "./read-settings.ts";
import { encodingCalled, encodingOfKey, iconvName, isSameEncoding, type TextEncoding } from "./sql-encodings.ts";
import { displayPath } from "./sql-place.ts";

const pieceBytes = 1 << 16;

/** Files that are refused: their first bytes, their name in messages, and the hint. */
const refused: readonly {
  readonly magic: Buffer;
  readonly at?: number;
  readonly what: string;
  readonly hint: string;
}[] = [
  {
    magic: Buffer.from("PGDMP"),
    what: "a dump in pg_dump's custom format",
    hint: "load it with pg_restore, or make one with --format=plain",
  },
  {
    magic: Buffer.from("ustar"),
    at: 257,
    what: "a tar archive",
    hint: "load a dump with pg_restore, or make one with --format=plain",
  },
  { magic: Buffer.from("BZh"), what: "compressed with bzip2", hint: "decompress it with bunzip2" },
  { magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a]), what: "compressed with xz", hint: "decompress it with unxz" },
  {
    magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]),
    what: "compressed with Zstandard",
    hint: "decompress it with unzstd",
  },
  { magic: Buffer.from([0x04, 0x22, 0x4d, 0x18]), what: "compressed with LZ4", hint: "decompress it with unlz4" },
  { magic: Buffer.from("PK\x03\x04"), what: "a ZIP archive", hint: "decompress it with unzip" },
];

/** A file, identified by its first bytes. */
export interface SqlBytes {
  readonly path: string;
  /** Its name in messages: a path, or a word. */
  readonly name: string;
  /** Its size on the disk, in bytes. */
  readonly size: number;
  /** PostgreSQL's name of its encoding. */
  readonly encoding: string;
  /** Whether psql reads such a file: not if it is compressed, or UTF-16. */
  readonly isForPsql: boolean;
  /** Returns its text in pieces, without a byte order mark. Each call starts at the beginning. */
  text(): AsyncIterable<string>;
  /** Returns its bytes as they are on the disk. */
  bytes(): AsyncIterable<Uint8Array>;
}

/** Opens a file. Rejects with a `MigrationError` if it cannot be read as SQL. */
export async function openSqlBytes(path: string, name = path): Promise<SqlBytes> {
  const shown = displayPath(name);
  const { size, first } = await readHead(path, shown);
  const isCompressed = first[0] === 0x1f && first[1] === 0x8b;
  // The head is the whole file: do not read it again.
  const isSmall = first.length < headBytes;
  const raw = () => (isSmall ? Readable.from([first]) : createReadStream(path, { highWaterMark: pieceBytes }));
  const bytes = (): AsyncIterable<Buffer> => (isCompressed ? gunzipped(raw(), shown) : raw());
  const head = isCompressed ? await headOf(bytes()) : first;
  for (const { magic, at = 0, what, hint } of refused)
    if (head.subarray(at, at + magic.length).equals(magic))
      throw new MigrationError(`${shown} is ${what}, not SQL text\n  hint: ${hint}`);
  const { encoding, text } = encodingOf(head, shown);
  const isForPsql = !isCompressed && !text.label.startsWith("utf-16");
  return { path, name, size, encoding, isForPsql, text: () => decoded(bytes, text, encoding, shown), bytes: raw };
}

async function readHead(path: string, shown: string): Promise<{ size: number; first: Buffer }> {
  try {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      const first = Buffer.alloc(headBytes);
      const { bytesRead } = await file.read(first, 0, headBytes, 0);
      return { size, first: first.subarray(0, bytesRead) };
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new MigrationError(`could not read ${shown}: ${(error as Error).message}`, { cause: error });
  }
}

async function headOf(bytes: AsyncIterable<Buffer>): Promise<Buffer> {
  for await (const piece of bytes) return piece.subarray(0, headBytes);
  return Buffer.alloc(0);
}

async function* gunzipped(raw: Readable, shown: string): AsyncGenerator<Buffer> {
  const stream = raw.pipe(createGunzip({ chunkSize: pieceBytes }));
  raw.once("error", (error) => stream.destroy(error));
  try {
    for await (const piece of stream) yield piece as Buffer;
  } catch (error) {
    throw new MigrationError(`could not decompress ${shown}: ${(error as Error).message}`, { cause: error });
  }
}

/** Returns the encoding of the file, and PostgreSQL's name of it. */
function encodingOf(head: Buffer, shown: string): { encoding: string; text: TextEncoding } {
  if (head[0] === 0xff && head[1] === 0xfe) return { encoding: "UTF8", text: encodingOfKey("utf-16le") };
  if (head[0] === 0xfe && head[1] === 0xff) return { encoding: "UTF8", text: encodingOfKey("utf-16be") };
  refuseUnmarkedUtf16(head, shown);
  const isMarked = head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf;
  // A file of ASCII only has the encoding that it declares. Decoding finds any other byte.
  const declared = (isMarked ? undefined : declaredEncoding(head.toString("latin1"))) ?? "UTF8";
  const text = encodingCalled(declared);
  if (text !== undefined) return { encoding: declared, text };
  throw new MigrationError(
    `${shown} is in the encoding ${declared}, which is not supported\n  hint: convert it: iconv -f ${iconvName(declared)} -t UTF-8 ${shown}, and change the SET client_encoding in it`,
  );
}

/** Most text has ASCII characters, every one of which is a NUL and another byte in UTF-16. */
function refuseUnmarkedUtf16(head: Buffer, shown: string): void {
  const nuls = [0, 0];
  for (let at = head.indexOf(0); at >= 0; at = head.indexOf(0, at + 1)) nuls[at % 2]!++;
  const [even = 0, odd = 0] = nuls;
  if (Math.min(even, odd) > 0 || (even + odd) * 4 < head.length || head.length < 2) return;
  throw new MigrationError(
    `${shown} is UTF-16 without a byte order mark\n  hint: convert it: iconv -f UTF-16${even > 0 ? "BE" : "LE"} -t UTF-8 ${shown}`,
  );
}

async function* decoded(
  bytes: () => AsyncIterable<Buffer>,
  { label, corrected, wrongAt }: TextEncoding,
  declared: string,
  shown: string,
): AsyncGenerator<string> {
  const encoding = label.startsWith("utf-16") ? "UTF-16" : declared;
  const decoder = decoderOf(label);
  let line = 1;
  const checked = (decoded: string): string => {
    const text = corrected(decoded);
    const nul = text.indexOf("\0");
    // A NUL would end the Query message in the middle of the file.
    if (nul >= 0) throw notText(shown, line + newlines(text.slice(0, nul)), encoding, "it contains a NUL character");
    const wrong = wrongAt(text);
    if (wrong >= 0) {
      const why = `PostgreSQL has another character than Node.js for the bytes of ${JSON.stringify(text[wrong])}, or none`;
      throw notText(shown, line + newlines(text.slice(0, wrong)), encoding, why);
    }
    line += newlines(text);
    return text;
  };
  let pieces = 0;
  for await (const piece of bytes()) {
    let text: string;
    try {
      text = decoder(piece);
    } catch {
      throw notText(shown, await lineOfBadByte(bytes(), label, pieces), encoding, `its bytes are not ${encoding}`);
    }
    if (text !== "") yield checked(text);
    pieces++;
  }
  try {
    const rest = decoder();
    if (rest !== "") yield checked(rest);
  } catch (error) {
    if (error instanceof MigrationError) throw error;
    throw notText(shown, line, encoding, `its last bytes are not ${encoding}`);
  }
}

/** Returns a function that decodes the next piece, or what remains. */
function decoderOf(label: string): (piece?: Uint8Array) => string {
  if (label === "latin1") return (piece) => Buffer.from(piece ?? []).toString("latin1");
  const decoder = new TextDecoder(label, { fatal: true });
  return (piece) => decoder.decode(piece, { stream: piece !== undefined });
}

function newlines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

/** Reads the file again. A character may begin in an earlier piece, so only a decoder from the beginning finds the byte. */
async function lineOfBadByte(bytes: AsyncIterable<Buffer>, label: string, goodPieces: number): Promise<number> {
  const decoder = decoderOf(label);
  let line = 1;
  let pieces = 0;
  try {
    for await (const piece of bytes) {
      const parts = pieces++ < goodPieces ? [piece] : Array.from(piece, (byte) => Uint8Array.of(byte));
      for (const part of parts) line += newlines(decoder(part));
    }
  } catch {}
  return line;
}

function notText(shown: string, line: number, encoding: string, why: string): MigrationError {
  const isUtf8 = isSameEncoding(encoding, "UTF8");
  return new MigrationError(
    `${shown}:${line}: could not decode the file as ${encoding}: ${why}\n` +
      (isUtf8
        ? `  hint: convert it, for example: iconv -f LATIN1 -t UTF-8 ${shown}; or add the statement SET client_encoding = 'LATIN1'; in the first 64 kB`
        : `  hint: convert it: iconv -f ${iconvName(encoding)} -t UTF-8 ${shown}, and change a SET client_encoding in it`),
  );
}
