/**
 * Reads the bytes of a SQL file as text, in pieces.
 *
 * Owns: the file's kind (compressed, an archive of pg_dump, UTF-16), encoding and byte order mark. Does not own: statements
 * (`sql-chunks.ts`), checksums (`sql-file.ts`).
 * Invariant: no character is replaced or lost: an error names the file and the line that cannot be decoded.
 */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { MigrationError } from "../errors.ts";
import { displayPath } from "./sql-place.ts";

/** The part of a file in which SET client_encoding is looked for. */
const headBytes = 1 << 16;
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

/** PostgreSQL's names of encodings ("Character Set Support" in the manual), and TextDecoder's labels for them. */
const labels: ReadonlyMap<string, string> = new Map([
  ["BIG5", "big5"],
  ["EUCCN", "gb18030"],
  ["EUCJP", "euc-jp"],
  ["EUCKR", "euc-kr"],
  ["GB18030", "gb18030"],
  ["GBK", "gbk"],
  ["ISO88595", "iso-8859-5"],
  ["ISO88596", "iso-8859-6"],
  ["ISO88597", "iso-8859-7"],
  ["ISO88598", "iso-8859-8"],
  ["KOI8", "koi8-r"],
  ["KOI8R", "koi8-r"],
  ["KOI8U", "koi8-u"],
  // TextDecoder's ISO 8859-1 is Windows-1252, so latin1 is decoded by Buffer.
  ["LATIN1", "latin1"],
  ["ISO88591", "latin1"],
  ["LATIN2", "iso-8859-2"],
  ["LATIN3", "iso-8859-3"],
  ["LATIN4", "iso-8859-4"],
  ["LATIN6", "iso-8859-10"],
  ["LATIN7", "iso-8859-13"],
  ["LATIN8", "iso-8859-14"],
  ["LATIN9", "iso-8859-15"],
  ["LATIN10", "iso-8859-16"],
  ["ISO88592", "iso-8859-2"],
  ["ISO88593", "iso-8859-3"],
  ["ISO88594", "iso-8859-4"],
  ["ISO885910", "iso-8859-10"],
  ["ISO885913", "iso-8859-13"],
  ["ISO885914", "iso-8859-14"],
  ["ISO885915", "iso-8859-15"],
  ["ISO885916", "iso-8859-16"],
  // They differ only in control characters, which no text has.
  ["LATIN5", "windows-1254"],
  ["ISO88599", "windows-1254"],
  ["SJIS", "shift_jis"],
  ["SHIFTJIS", "shift_jis"],
  ["MSKANJI", "shift_jis"],
  ["UHC", "euc-kr"],
  ["UNICODE", "utf-8"],
  ["UTF8", "utf-8"],
  ["WIN", "windows-1251"],
  ["WIN866", "ibm866"],
  ["ALT", "ibm866"],
  ["WIN874", "windows-874"],
  ["WIN949", "euc-kr"],
  ["WIN936", "gbk"],
  ["WIN950", "big5"],
  ["WIN932", "shift_jis"],
  ...["1250", "1251", "1252", "1253", "1254", "1255", "1256", "1257", "1258"].map((page): [string, string] => [
    `WIN${page}`,
    `windows-${page}`,
  ]),
]);

const declaration =
  /^\s*(?:set\s+(?:session\s+|local\s+)?(?:client_encoding\s*(?:=|to)|names)\s*|\\encoding\s+)['"]?([\w-]+)['"]?/im;

/** Normalizes an encoding's name: PostgreSQL ignores case and all characters but letters and digits. */
function encodingName(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9]/g, "").toUpperCase();
}

/** Whether two names mean the same encoding of text. */
export function isSameEncoding(a: string, b: string): boolean {
  const [one, other] = [a, b].map((name) => labels.get(encodingName(name)) ?? encodingName(name));
  return one === other;
}

/** A file, identified by its first bytes. */
export interface SqlBytes {
  readonly path: string;
  /** Its name in messages: a path, or a word. */
  readonly name: string;
  /** Its size on the disk, in bytes. */
  readonly size: number;
  /** PostgreSQL's name of its encoding. */
  readonly encoding: string;
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
  const { encoding, label } = encodingOf(head, shown);
  return { path, name, size, encoding, text: () => decoded(bytes(), label, encoding, shown), bytes: raw };
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

function encodingOf(head: Buffer, shown: string): { encoding: string; label: string } {
  if (head[0] === 0xff && head[1] === 0xfe) return { encoding: "UTF8", label: "utf-16le" };
  if (head[0] === 0xfe && head[1] === 0xff) return { encoding: "UTF8", label: "utf-16be" };
  const declared = declaration.exec(head.toString("latin1"))?.[1];
  // A file of ASCII only has the encoding that it declares. Decoding finds any other byte.
  if (declared === undefined || /^(sql_?ascii|auto|default)$/i.test(declared))
    return { encoding: "UTF8", label: "utf-8" };
  const label = labels.get(encodingName(declared));
  if (label !== undefined) return { encoding: declared, label };
  throw new MigrationError(
    `${shown} is in the encoding ${declared}, which is not supported\n  hint: convert it: iconv -f ${declared} -t UTF-8 ${shown}, and change the SET client_encoding in it`,
  );
}

async function* decoded(
  bytes: AsyncIterable<Buffer>,
  label: string,
  encoding: string,
  shown: string,
): AsyncGenerator<string> {
  const decoder = label === "latin1" ? undefined : new TextDecoder(label, { fatal: true });
  let line = 1;
  const checked = (text: string): string => {
    const nul = text.indexOf("\0");
    // A NUL would end the Query message in the middle of the file.
    if (nul >= 0) throw notText(shown, line + newlines(text.slice(0, nul)), "it contains a NUL character");
    line += newlines(text);
    return text;
  };
  for await (const piece of bytes) {
    let text: string;
    try {
      text = decoder ? decoder.decode(piece, { stream: true }) : piece.toString("latin1");
    } catch {
      throw notText(shown, line + goodLines(piece, label), `its bytes are not ${encoding}`);
    }
    if (text !== "") yield checked(text);
  }
  try {
    const rest = decoder?.decode() ?? "";
    if (rest !== "") yield checked(rest);
  } catch {
    throw notText(shown, line, `its last bytes are not ${encoding}`);
  }
}

function newlines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

/** Returns how many lines can be decoded. */
function goodLines(piece: Buffer, label: string): number {
  const decoder = new TextDecoder(label, { fatal: true });
  let lines = 0;
  for (let at = 0; ; lines++) {
    const end = piece.indexOf(10, at);
    if (end < 0) return lines;
    try {
      decoder.decode(piece.subarray(at, end), { stream: true });
    } catch {
      return lines;
    }
    at = end + 1;
  }
}

function notText(shown: string, line: number, why: string): MigrationError {
  return new MigrationError(
    `${shown}:${line}: the file is not UTF-8 text: ${why}\n` +
      `  hint: convert it, for example: iconv -f LATIN1 -t UTF-8 ${shown}; or begin it with SET client_encoding = 'LATIN1';`,
  );
}
