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
import { pastBlanks, tokenize } from "../sql/tokens.ts";
import {
  encodingOfCommand,
  endOfData,
  isOff,
  type ReadSetting,
  settingOf,
  whyNotEncoding,
  writeEscapes,
} from "./read-settings.ts";
import { copiesFromStdin, nextStatement, type SqlChunk, type SqlStatement } from "./split-statements.ts";
import { openSqlBytes, type SqlBytes } from "./sql-bytes.ts";
import { isSameEncoding } from "./sql-encodings.ts";
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
const saysNothing = /^\\(?:un)?restrict\b/;

/** What psql ignores between a COPY and the end of its line. */
const nothing = /^(?:[\s;]|\/\*(?:(?!\/\*|\*\/).)*\*\/)*(?:--[^\r]*\r?\n?)?$/s;

/** How string constants are read from here on. Included files share it. */
interface Strings {
  /** `standard_conforming_strings` is off: a backslash is an escape in each of them. */
  escapes: boolean;
  wasOff: boolean;
}

/**
 * Returns the chunks of a file, and of the files that it includes with `\i` and `\ir`, relative to it. A request for the next chunk
 * skips the rest of a COPY's data.
 */
export async function* sqlChunks(
  bytes: SqlBytes,
  leavesOut: LeavesOut = () => false,
  depth = 0,
  strings: Strings = { escapes: false, wasOff: false },
): AsyncGenerator<SqlChunk> {
  if (depth > deepestInclude)
    throw new MigrationError(
      `${displayPath(bytes.name)}: files include each other more than ${deepestInclude} levels deep`,
    );
  for await (const part of new ChunkReader(bytes, leavesOut, strings).parts()) {
    if ("text" in part) yield part;
    else yield* sqlChunks(await openSqlBytes(part.include), leavesOut, depth + 1, strings);
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
  readonly #strings: Strings;
  readonly #pieces: AsyncIterator<string>;
  /** Text that was read and not yet returned. It begins at `#offset` of the file, which is `#place`. */
  #text = "";
  #offset = 0;
  #place: Place = start;
  #isOver = false;
  #isInData = false;

  constructor(file: SqlBytes, leavesOut: LeavesOut, strings: Strings) {
    this.#leavesOut = leavesOut;
    this.#strings = strings;
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
      const command = line === undefined ? undefined : this.#command(line.trimEnd(), at);
      if (line !== undefined && command !== undefined) {
        yield* close(at);
        if (command !== "nothing") yield "sql" in command ? await this.#copied(command) : command;
        this.#drop(line.length);
        continue;
      }
      const { statement, past } = await this.#statement(at);
      const setting = settingOf(this.#text, statement);
      if (copiesFromStdin(statement)) {
        const before = at;
        yield* close(at);
        const chunk = this.#copy(moveBy(statement, before));
        this.#drop(past - before);
        yield* this.#withData(chunk);
      } else if (
        this.#setsEncoding(setting, statement) ||
        this.#leavesOut(this.#text.slice(statement.start, statement.end))
      ) {
        const length = past - at;
        yield* close(at);
        this.#drop(length);
      } else {
        open.push(statement);
        at = past;
        if (this.#changesStrings(setting, statement) || past > longest) yield* close(past);
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
      const next = nextStatement(this.#text, at, this.#strings.escapes);
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
  #command(line: string, at: number): Included | Copied | "nothing" | undefined {
    if (saysNothing.test(line)) return "nothing";
    const beside = (quoted: string | undefined, plain: string | undefined) =>
      resolve(dirname(this.#file.path), quoted?.replaceAll("''", "'") ?? plain!);
    const include = includes.exec(line);
    if (include) return { include: beside(include[1], include[2]) };
    const encoding = encodingOfCommand(line);
    if (encoding !== undefined) {
      this.#requireEncoding(encoding, at);
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

  #setsEncoding(setting: ReadSetting | undefined, { start: at }: SqlStatement): boolean {
    if (setting?.name !== "client_encoding") return false;
    // The call may be one of several in its SELECT, and PostgreSQL gets UTF-8.
    if (setting.isCall && !isSameEncoding(setting.value, "UTF8"))
      throw this.#wrong("cannot set client_encoding with set_config\n  hint: use SET client_encoding", at);
    this.#requireEncoding(setting.value, at);
    return !setting.isCall;
  }

  #requireEncoding(name: string, at: number): void {
    const why = whyNotEncoding(name, this.#file.encoding);
    if (why !== undefined) throw this.#wrong(why, at);
  }

  /** Whether PostgreSQL reads the strings in the statements after this one in another way. */
  #changesStrings(setting: ReadSetting | undefined, { words, start: at }: SqlStatement): boolean {
    const strings = this.#strings;
    if (strings.wasOff && (words[0] === "rollback" || words[0] === "abort"))
      throw this.#wrong(
        `ROLLBACK is not supported after standard_conforming_strings = off\n  hint: ${writeEscapes}`,
        at,
      );
    if (setting?.name !== "standard_conforming_strings") return false;
    const isEscaping = isOff(setting);
    if (setting.isLocal && isEscaping)
      throw this.#wrong(`SET LOCAL standard_conforming_strings = off is not supported\n  hint: ${writeEscapes}`, at);
    const isChange = isEscaping !== strings.escapes;
    strings.escapes = isEscaping;
    strings.wasOff ||= isEscaping;
    return isChange;
  }

  /** Returns the chunk of a COPY, whose data is sent as UTF-8. */
  #copy(statement: SqlStatement): SqlChunk {
    const text = this.#text.slice(0, statement.end);
    const tokens = tokenize(text);
    // A table or a column before STDIN may have the name.
    const options = tokens.slice(
      tokens.findIndex(({ text: word }, i) => word === "stdin" && tokens[i - 1]?.text === "from"),
    );
    const option = options[options.findIndex(({ text: word }) => word === "encoding") + 1];
    if (option === undefined || option === options[0]) return this.#chunk(text, [statement]);
    if (!isSameEncoding(option.text, this.#file.encoding))
      throw this.#wrong(
        `COPY with the encoding ${option.text} is not supported in a file that was read as ${this.#file.encoding}\n` +
          "  hint: move the data to a file and load it with \\copy TABLE FROM 'FILE' and the same options",
        statement.start,
      );
    const changed = `${text.slice(0, option.start)}'UTF8'${text.slice(option.end)}`;
    return this.#chunk(changed, [nextStatement(changed, 0)!.statement]);
  }

  /** Reads a COPY. Its data begins in the next line and ends with the line \. */
  async *#withData(chunk: SqlChunk): AsyncGenerator<SqlChunk> {
    const rest = await this.#line(0);
    if (!nothing.test(rest))
      throw this.#wrong(
        "text after COPY … FROM stdin on the same line is not supported\n" +
          "  hint: begin the data on the next line, and the next statement after the line \\.; a line ends with LF or CRLF",
      );
    this.#drop(rest.length);
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
      const end = endOfData.exec(this.#text);
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

  #wrong(what: string, at = 0): MigrationError {
    const place = placeAfter(this.#text.slice(0, at), this.#place);
    return new MigrationError(`${describePlaceIn(this.#file.name, place)}: ${what}`);
  }
}

/** Shifts a statement's offsets for a text that begins `offset` later. */
function moveBy({ words, start: from, end, backslashAt }: SqlStatement, offset: number): SqlStatement {
  const moved = backslashAt === undefined ? undefined : backslashAt - offset;
  return { words, start: from - offset, end: end - offset, backslashAt: moved };
}
