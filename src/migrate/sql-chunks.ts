/**
 * Cuts a SQL file into chunks while it is read; each chunk is sent as one Query.
 *
 * Owns: the cut, COPY … FROM stdin with its data, and the psql commands that only name other SQL or data. Does not own: bytes
 * (`sql-bytes.ts`), where a statement ends (`split-statements.ts`), commands that need psql (`check-migration.ts`).
 * Invariant: a chunk has whole statements. The chunks and the data of their COPYs are the file, in order, without psql's lines and SET
 * client_encoding, because PostgreSQL gets UTF-8.
 */
import { constants, createReadStream } from "node:fs";
import { access } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { MigrationError } from "../errors.ts";
import { pastBlanks } from "../sql/tokens.ts";
import { nextStatement, type SqlChunk, type SqlStatement } from "./split-statements.ts";
import { isSameEncoding, openSqlBytes, type SqlBytes } from "./sql-bytes.ts";
import { describePlaceIn, displayPath, type Place, placeAfter, start } from "./sql-place.ts";

/** In bytes. A file up to this size is one chunk, so that its execution does not depend on the cut into statements. */
const wholeSize = 1 << 20;
/** The size of a larger file's chunks, in UTF-16 units. */
const chunkLength = 1 << 16;
/** PostgreSQL accepts no message of 1 GB. */
const longestStatement = 1 << 28;
const deepestInclude = 16;

const includes = /^\\(?:i|ir|include|include_relative)\s+(?:'((?:[^']|'')*)'|(\S+))$/;
const copies = /^\\copy\s+(.+?)\s+from\s+(?:'((?:[^']|'')*)'|(\S+))(.*)$/i;
const encodes = /^\\encoding\s+(\S+)$/;
const saysNothing = /^\\(?:un)?restrict\b/;

/** Whether a statement reads data from the client. */
export function copiesFromStdin({ words }: SqlStatement): boolean {
  return words[0] === "copy" && words.some((word, i) => word === "stdin" && words[i - 1] === "from");
}

/**
 * Returns the chunks of a file, and of the files that it includes with `\i` and `\ir`, relative to it. A request for the next chunk
 * skips the rest of a COPY's data.
 */
export async function* sqlChunks(
  bytes: SqlBytes,
  leavesOut: LeavesOut = () => false,
  depth = 0,
): AsyncGenerator<SqlChunk> {
  if (depth > deepestInclude)
    throw new MigrationError(
      `${displayPath(bytes.name)}: files include each other more than ${deepestInclude} levels deep`,
    );
  for await (const part of new ChunkReader(bytes, leavesOut).parts()) {
    if ("text" in part) yield part;
    else yield* sqlChunks(await openSqlBytes(part.include), leavesOut, depth + 1);
  }
}

/** Whether a statement is left out. */
type LeavesOut = (sql: string) => boolean;

/** A file that a psql command names. */
interface Included {
  readonly include: string;
}

/** The statement of a \copy, and the file with its data. */
interface Copied {
  readonly sql: string;
  readonly from: string;
}

class ChunkReader {
  readonly #file: SqlBytes;
  readonly #leavesOut: LeavesOut;
  readonly #pieces: AsyncIterator<string>;
  /** Text that was read and not yet returned. It begins at `#offset` of the file, which is `#place`. */
  #text = "";
  #offset = 0;
  #place: Place = start;
  #isOver = false;
  #isInData = false;

  constructor(file: SqlBytes, leavesOut: LeavesOut) {
    this.#leavesOut = leavesOut;
    this.#file = file;
    this.#pieces = file.text()[Symbol.asyncIterator]();
  }

  async *parts(): AsyncGenerator<SqlChunk | Included> {
    const longest = this.#file.size > wholeSize ? chunkLength : wholeSize;
    let open: SqlStatement[] = [];
    let at = 0;
    /** Returns the text before an offset; the offset is 0 afterwards. */
    const close = (end: number): SqlChunk[] => {
      const chunks = open.length > 0 ? [this.#chunk(this.#text.slice(0, end), open)] : [];
      this.#drop(end);
      open = [];
      at = 0;
      return chunks;
    };
    for (;;) {
      at = await this.#pastBlanks(at);
      if (at === this.#text.length) break;
      const line = this.#text[at] === "\\" ? await this.#line(at) : undefined;
      const command = line === undefined ? undefined : this.#command(line.trimEnd());
      if (line !== undefined && command !== undefined) {
        yield* close(at);
        if (command !== "nothing") yield "sql" in command ? await this.#copied(command) : command;
        this.#drop(line.length);
        continue;
      }
      const { statement, past } = await this.#statement(at);
      if (copiesFromStdin(statement)) {
        const before = at;
        yield* close(at);
        const moved = moveBy(statement, before);
        const chunk = this.#chunk(this.#text.slice(0, moved.end), [moved]);
        this.#drop(past - before);
        yield* this.#withData(chunk);
      } else if (this.#setsEncoding(statement) || this.#leavesOut(this.#text.slice(statement.start, statement.end))) {
        const length = past - at;
        yield* close(at);
        this.#drop(length);
      } else {
        open.push(statement);
        at = past;
        if (past > longest) yield* close(past);
      }
    }
    yield* close(this.#text.length);
  }

  async #more(): Promise<void> {
    // Double the text each time, so that the repeated scans are never longer than the reads.
    const wanted = this.#text.length * 2;
    do {
      const { value, done } = await this.#pieces.next();
      if (done) this.#isOver = true;
      else this.#text += value;
    } while (!this.#isOver && this.#text.length < wanted);
    if (this.#text.length > longestStatement)
      throw this.#wrong(`a statement is longer than ${longestStatement >> 20} MB`);
  }

  async #pastBlanks(from: number): Promise<number> {
    for (;;) {
      const at = pastBlanks(this.#text, from);
      // A comment may continue in unread text, and two characters begin a comment.
      if (at < this.#text.length - 1 || this.#isOver) return at;
      await this.#more();
    }
  }

  async #statement(at: number): Promise<{ statement: SqlStatement; past: number }> {
    for (;;) {
      const next = nextStatement(this.#text, at);
      if (next && (next.isEnded || this.#isOver)) return next;
      if (this.#isOver)
        return { statement: { words: [], start: at, end: at, backslashAt: undefined }, past: this.#text.length };
      await this.#more();
    }
  }

  /** Returns the text from there through the end of the line. */
  async #line(at: number): Promise<string> {
    for (;;) {
      const end = this.#text.indexOf("\n", at);
      if (end >= 0) return this.#text.slice(at, end + 1);
      if (this.#isOver) return this.#text.slice(at);
      await this.#more();
    }
  }

  /** Translates a psql command; returns undefined if only psql understands it. */
  #command(line: string): Included | Copied | "nothing" | undefined {
    if (saysNothing.test(line)) return "nothing";
    const beside = (quoted: string | undefined, plain: string | undefined) =>
      resolve(dirname(this.#file.path), quoted?.replaceAll("''", "'") ?? plain!);
    const include = includes.exec(line);
    if (include) return { include: beside(include[1], include[2]) };
    const encoding = encodes.exec(line);
    if (encoding) {
      this.#requireEncoding(encoding[1]!);
      return "nothing";
    }
    const [, target, quoted, plain, options] = copies.exec(line) ?? [];
    if (target === undefined || /^(stdin|pstdin|program)$/i.test(plain ?? "")) return undefined;
    return { sql: `COPY ${target} FROM STDIN${options}`, from: beside(quoted, plain) };
  }

  async #copied({ sql, from }: Copied): Promise<SqlChunk> {
    const { statement } = nextStatement(sql, 0)!;
    await access(from, constants.R_OK).catch((error: Error) => {
      throw this.#wrong(`could not read ${displayPath(from)}: ${error.message}`);
    });
    return { ...this.#chunk(sql, [statement]), copyData: createReadStream(from) };
  }

  #setsEncoding({ words, start: from, end }: SqlStatement): boolean {
    const [set, name] = words.filter((word) => word !== "session" && word !== "local");
    if (set !== "set" || (name !== "client_encoding" && name !== "names")) return false;
    const value = /(?:=|\bto\b|\bnames\b)\s*['"]?([\w-]+)/i.exec(this.#text.slice(from, end))?.[1] ?? "default";
    if (!/^default$/i.test(value)) this.#requireEncoding(value);
    return true;
  }

  #requireEncoding(name: string): void {
    if (/^(sql_?ascii|auto)$/i.test(name) || isSameEncoding(name, this.#file.encoding)) return;
    throw this.#wrong(`cannot set client_encoding to ${name} in a file that was read as ${this.#file.encoding}`);
  }

  /** Reads a COPY. Its data begins in the next line and ends with the line \. */
  async *#withData(chunk: SqlChunk): AsyncGenerator<SqlChunk> {
    this.#drop((await this.#line(0)).length);
    this.#isInData = true;
    const next = () => this.#nextData();
    // A consumer may stop and continue later, so leaving the loop does not end the data.
    const copyData: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => ({
        async next() {
          const value = await next();
          return value === undefined ? { value, done: true } : { value, done: false };
        },
      }),
    };
    yield { ...chunk, copyData };
    while (await this.#nextData());
  }

  /** Returns undefined at the end of the data. */
  async #nextData(): Promise<Uint8Array | undefined> {
    while (this.#isInData) {
      const end = /^\\\.\r?(?:\n|$)/m.exec(this.#text);
      const isEnd = end !== null && (end[0].endsWith("\n") || this.#isOver);
      this.#isInData = !isEnd && !this.#isOver;
      // The last line may continue in unread text.
      const known = isEnd ? end.index : this.#isOver ? this.#text.length : this.#text.lastIndexOf("\n") + 1;
      const data = Buffer.from(this.#text.slice(0, known));
      this.#drop(isEnd ? known + end[0].length : known);
      if (this.#isInData) await this.#more();
      if (data.length > 0) return data;
    }
    return undefined;
  }

  #chunk(text: string, statements: readonly SqlStatement[]): SqlChunk {
    return { path: this.#file.name, text, offset: this.#offset, place: this.#place, statements };
  }

  /** Drops the text before `end`, which has been returned. */
  #drop(end: number): void {
    this.#place = placeAfter(this.#text.slice(0, end), this.#place);
    this.#offset += end;
    this.#text = this.#text.slice(end);
  }

  #wrong(what: string): MigrationError {
    return new MigrationError(`${describePlaceIn(this.#file.name, this.#place)}: ${what}`);
  }
}

/** Shifts a statement's offsets for a text that begins `offset` later. */
function moveBy({ words, start: from, end, backslashAt }: SqlStatement, offset: number): SqlStatement {
  const moved = backslashAt === undefined ? undefined : backslashAt - offset;
  return { words, start: from - offset, end: end - offset, backslashAt: moved };
}
