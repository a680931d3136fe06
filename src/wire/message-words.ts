/**
 * What is in a message, in the words of libpq's PQtrace.
 *
 * Owns: the notation of fields. Does not own: names and boundaries (`message-names.ts`, `connection-reader.ts`).
 * Invariant: any body has words: one that is not of its message's shape is shown in hexadecimal.
 * Mirrors src/interfaces/libpq/fe-trace.c.
 */
import type { WireMessage } from "./connection-reader.ts";

/** The fields of a message, without its name. `longest`: a text is cut after so many characters. */
export function messageWords({ side, type, name, body }: WireMessage, longest = Number.POSITIVE_INFINITY): string {
  const reader = new FieldReader(body, longest);
  const words = type === "" ? packetWords(name) : (side === "frontend" ? frontendWords : backendWords)[type];
  if (!words) return body.length === 0 ? "" : reader.raw(body.length);
  try {
    return words(reader);
  } catch {
    return new FieldReader(body, longest).raw(body.length);
  }
}

type Words = (reader: FieldReader) => string;

const authentications = new Map([
  [0, "Ok"],
  [3, "CleartextPassword"],
  [5, "MD5Password"],
  [10, "SASL"],
  [11, "SASLContinue"],
  [12, "SASLFinal"],
]);

function packetWords(name: string): Words {
  if (name === "CancelRequest") return (r) => `${r.skip(4)}${r.int32()}`;
  if (name !== "StartupMessage") return () => "";
  return (r) => `${r.int16()}.${r.int16()} ${r.strings()}`;
}

const copyFormats: Words = (r) => `${r.byte()} ${r.list(() => String(r.int16()))}`;
const problem: Words = (r) => r.fields();
const target: Words = (r) => `${r.char()} ${r.string()}`;

const frontendWords: Readonly<Record<string, Words>> = {
  B: (r) =>
    `${r.string()} ${r.string()} ${r.list(() => String(r.int16()))} ${r.list(() => r.value())} ${r.list(() => String(r.int16()))}`,
  C: target,
  D: target,
  E: (r) => `${r.string()} ${r.int32()}`,
  P: (r) => `${r.string()} ${r.string()} ${r.list(() => String(r.uint32()))}`,
  Q: (r) => r.string(),
  d: (r) => r.raw(r.left),
  f: (r) => r.string(),
  // What it has is never in a trace.
  p: () => "",
};

const backendWords: Readonly<Record<string, Words>> = {
  A: (r) => `${r.int32()} ${r.string()} ${r.string()}`,
  C: (r) => r.string(),
  D: (r) => r.list(() => r.value()),
  E: problem,
  G: copyFormats,
  H: copyFormats,
  K: (r) => String(r.int32()),
  N: problem,
  R: (r) => {
    const kind = r.int32();
    return authentications.get(kind) ?? String(kind);
  },
  S: (r) => `${r.string()} ${r.string()}`,
  T: (r) =>
    r.list(() => `${r.string()} ${r.uint32()} ${r.int16()} ${r.uint32()} ${r.int16()} ${r.int32()} ${r.int16()}`),
  V: (r) => r.value(),
  Z: (r) => r.char(),
  t: (r) => r.list(() => String(r.uint32())),
  v: (r) => `${r.int32()} ${r.int32()}`,
};

/** Reads fields one after the other. */
class FieldReader {
  readonly #body: Buffer;
  readonly #longest: number;
  #at = 0;

  constructor(body: Buffer, longest: number) {
    this.#body = body;
    this.#longest = longest;
  }

  get left(): number {
    return this.#body.length - this.#at;
  }

  skip(length: number): "" {
    this.#at += length;
    return "";
  }

  byte(): number {
    return this.#body.readUInt8(this.#at++);
  }

  char(): string {
    return String.fromCharCode(this.byte());
  }

  int16(): number {
    this.#at += 2;
    return this.#body.readInt16BE(this.#at - 2);
  }

  int32(): number {
    this.#at += 4;
    return this.#body.readInt32BE(this.#at - 4);
  }

  uint32(): number {
    return this.int32() >>> 0;
  }

  /** A text that ends with zero, in double quotes. */
  string(): string {
    const end = this.#body.indexOf(0, this.#at);
    if (end < 0) throw new RangeError("a text without an end");
    const text = this.#body.toString("utf8", this.#at, end);
    this.#at = end + 1;
    return `"${this.#cut(text).replaceAll(/\s+/g, " ")}"`;
  }

  /** Texts up to the end. */
  strings(): string {
    const found: string[] = [];
    while (this.left > 1) found.push(this.string());
    return found.join(" ");
  }

  /** A count of 16 bits, and as many fields. */
  list(field: () => string): string {
    const count = this.int16();
    return [String(count), ...Array.from({ length: count }, field)].join(" ");
  }

  /** A length and a value in single quotes; -1 is null. */
  value(): string {
    const length = this.int32();
    return length < 0 ? "-1" : `${length} ${this.raw(length)}`;
  }

  /** Bytes in single quotes: text as it is, what is no text as `\xNN`. */
  raw(length: number): string {
    if (length > this.left) throw new RangeError("a value without an end");
    const bytes = this.#body.subarray(this.#at, this.#at + length);
    this.#at += length;
    const text = bytes.toString("utf8");
    const isText = !text.includes("\ufffd") && !/(?![\t\n\r])\p{Cc}/u.test(text);
    if (isText) return `'${this.#cut(text).replaceAll("\n", "\\n")}'`;
    return `'${this.#cut(bytes.toString("latin1").replaceAll(/[^\x20-\x7e]/g, hexadecimal))}'`;
  }

  /** Of an ErrorResponse or a NoticeResponse: a letter and a text each. */
  fields(): string {
    const found: string[] = [];
    for (let letter = this.byte(); letter !== 0; letter = this.byte()) {
      const text = this.string();
      // Where in PostgreSQL's source it was written.
      if (!"FLR".includes(String.fromCharCode(letter))) found.push(`${String.fromCharCode(letter)} ${text}`);
    }
    return found.join(" ");
  }

  #cut(text: string): string {
    return text.length > this.#longest ? `${text.slice(0, this.#longest)}…` : text;
  }
}

function hexadecimal(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}
