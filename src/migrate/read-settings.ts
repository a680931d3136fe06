/**
 * The settings in a SQL file that change how the rest of the file is read: client_encoding and standard_conforming_strings.
 *
 * Owns: finding them. Does not own: what follows from them (`sql-bytes.ts`, `sql-chunks.ts`).
 * Invariant: only a statement of the file counts; a comment, a string and the data of a COPY have no settings.
 */
import { pastBlanks, tokenize } from "../sql/tokens.ts";
import { copiesFromStdin, nextStatement, type SqlStatement } from "./split-statements.ts";
import { isSameEncoding } from "./sql-encodings.ts";

/** One setting, and how a statement makes it. */
export interface ReadSetting {
  readonly name: string;
  /** `default` for a RESET. */
  readonly value: string;
  /** Whether it ends with the transaction. */
  readonly isLocal: boolean;
  /** Whether it is a call of set_config. */
  readonly isCall: boolean;
}

/** The part of a file in which a declaration of its encoding counts. */
export const headBytes = 1 << 16;

const names = ["client_encoding", "standard_conforming_strings"];
const mayBeSetting = /client_encoding|standard_conforming_strings|\bnames\b|\ball\b/i;
const encodes = /^\\encoding\s+(\S+)$/;

/** The end of a COPY's data, at the beginning of a line. No `m` flag: with it, CR and U+2028 would end a line, too. */
export const endOfData = /(?<=^|\n)\\\.\r?(?:\n|$)/;

/** Returns the encoding that a psql command names. */
export function encodingOfCommand(line: string): string | undefined {
  return encodes.exec(line)?.[1];
}

/** Returns the setting that a statement changes, if the file is read differently after it. */
export function settingOf(sql: string, { words, start, end }: SqlStatement): ReadSetting | undefined {
  if (!/^(?:set|reset|discard|select)$/.test(words[0] ?? "")) return undefined;
  const text = sql.slice(start, end);
  if (!mayBeSetting.test(text)) return undefined;
  const tokens = tokenize(text).map((token) => token.text);
  if (words[0] === "select") return settingOfCall(tokens);
  const isLocal = tokens[1] === "local";
  const [name = "", ...rest] = tokens.slice(isLocal || tokens[1] === "session" ? 2 : 1);
  const base = { isLocal, isCall: false };
  if (words[0] !== "set") {
    if (name === "all") return { ...base, name: "standard_conforming_strings", value: "default" };
    return names.includes(name) ? { ...base, name, value: "default" } : undefined;
  }
  if (name === "names") return { ...base, name: "client_encoding", value: rest[0] ?? "default" };
  return names.includes(name) && rest[0] !== "from" ? { ...base, name, value: rest[1] ?? "default" } : undefined;
}

function settingOfCall(tokens: readonly string[]): ReadSetting | undefined {
  const at = tokens.findIndex(
    (token, i) => token === "set_config" && names.includes(tokens[i + 2]?.toLowerCase() ?? ""),
  );
  if (at < 0) return undefined;
  const [name = "", , value = "", , isLocal] = tokens.slice(at + 2);
  return { name: name.toLowerCase(), value, isLocal: isLocal === "true", isCall: true };
}

/** For hints. */
export const writeEscapes = "write strings with backslash escapes as E'…', and leave the setting out";

/** Whether a setting is off, in PostgreSQL's words for that. */
export function isOff({ value }: ReadSetting): boolean {
  return /^(?:off?|f(?:a|al|als|alse)?|no?|0)$/i.test(value);
}

/** Returns why a file that was read in an encoding cannot set `client_encoding` to this, or undefined. */
export function whyNotEncoding(value: string, encoding: string): string | undefined {
  if (isNoEncoding(value) || isSameEncoding(value, encoding)) return undefined;
  return (
    `cannot set client_encoding to ${value} in a file that was read as ${encoding}\n` +
    "  hint: set it once, in the first 64 kB of the file, and not in UTF-16 or after a byte order mark"
  );
}

/** Whether a value of `client_encoding` leaves the encoding of the file open. */
function isNoEncoding(value: string): boolean {
  return /^(sql_?ascii|auto|default)$/i.test(value);
}

/** Returns the encoding that the beginning of a file sets. Each character of `head` is a byte. */
export function declaredEncoding(head: string): string | undefined {
  for (let at = pastBlanks(head, 0); at < head.length; at = pastBlanks(head, at)) {
    let declared: string | undefined;
    if (head[at] === "\\") {
      const end = pastLine(head, at);
      declared = encodingOfCommand(head.slice(at, end).trimEnd());
      at = end;
    } else {
      const next = nextStatement(head, at);
      // The statement may continue after the head.
      if (next === undefined || (!next.isEnded && head.length === headBytes)) return undefined;
      const { statement, past } = next;
      const setting = settingOf(head, statement);
      if (setting?.name === "client_encoding" && !setting.isCall) declared = setting.value;
      at = past;
      if (copiesFromStdin(statement)) {
        const from = pastLine(head, past);
        const end = endOfData.exec(head.slice(from));
        at = end === null ? head.length : from + end.index + end[0].length;
      }
    }
    if (declared !== undefined && !isNoEncoding(declared)) return declared;
  }
  return undefined;
}

function pastLine(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end + 1;
}
