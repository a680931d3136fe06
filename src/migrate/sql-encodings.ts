/**
 * The encodings of SQL files, by PostgreSQL's names.
 *
 * Owns: which encodings there are, and what TextDecoder reads differently from PostgreSQL. Does not own: a file's bytes (`sql-bytes.ts`).
 * Invariant: a byte sequence becomes the character that PostgreSQL makes of it, or an error.
 */

/**
 * PostgreSQL's names of encodings ("Character Set Support" in the manual), and TextDecoder's labels for them, or keys of `exceptions`.
 * UHC (WIN949) is not here: Node.js decodes thousands of its characters wrongly, without an error.
 */
const labels: ReadonlyMap<string, string> = new Map([
  ["BIG5", "big5"],
  ["EUCCN", "euc-cn"],
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
  ["LATIN5", "latin5"],
  ["ISO88599", "latin5"],
  ["SJIS", "shift_jis"],
  ["SHIFTJIS", "shift_jis"],
  ["MSKANJI", "shift_jis"],
  ["UNICODE", "utf-8"],
  ["UTF8", "utf-8"],
  ["WIN", "windows-1251"],
  ["WIN866", "ibm866"],
  ["ALT", "ibm866"],
  ["WIN874", "windows-874"],
  ["WIN936", "gbk"],
  ["WIN950", "big5"],
  ["WIN932", "shift_jis"],
  ...["1250", "1251", "1252", "1253", "1254", "1255", "1256", "1257", "1258"].map((page): [string, string] => [
    `WIN${page}`,
    `windows-${page}`,
  ]),
]);

/** Normalizes an encoding's name: PostgreSQL ignores case and all characters but letters and digits. */
function encodingName(name: string): string {
  return name
    .replaceAll(/[^A-Za-z0-9]/g, "")
    .toUpperCase()
    .replace(/^WINDOWS(?=\d)/, "WIN");
}

/** Returns the name of an encoding in the program iconv. */
export function iconvName(name: string): string {
  const known = encodingName(name);
  if (/^(?:EUC|KOI8)[A-Z]+$/.test(known)) return known.replace(/^EUC|KOI8/, "$&-");
  return known.replace(/^WIN(?=\d)/, "CP");
}

/** Whether two names mean the same encoding of text. */
export function isSameEncoding(a: string, b: string): boolean {
  const [one, other] = [a, b].map((name) => labels.get(encodingName(name)) ?? encodingName(name));
  return one === other;
}

/** What TextDecoder reads differently from PostgreSQL's conversions. */
interface Exceptions {
  /** TextDecoder's label, if it is not the key. */
  readonly label?: string;
  /** Pairs of characters: TextDecoder's and PostgreSQL's. */
  readonly replaced?: string;
  /** Characters that TextDecoder makes of byte sequences that PostgreSQL refuses or reads differently. */
  readonly refused?: RegExp;
}

const exceptions: ReadonlyMap<string, Exceptions> = new Map([
  [
    "big5",
    {
      refused:
        /[\u00af\u02cd\u2027\u2215\u2295\u2299\u2574\ue000-\uf8ff\ufe51\ufe68\uff0f\uff3c\uff5e\uffe0\uffe1\uffe3\uffe5]/,
    },
  ],
  ["euc-cn", { label: "gb18030", replaced: "·・—―" }],
  ["euc-jp", { replaced: "¦￤" }],
  ["gb18030", { refused: /[\u1e3f\u9fb4-\u9fbb\ufe10-\ufe19]/ }],
  ["koi8-u", { replaced: "ў╝Ў╬" }],
  // TextDecoder's ISO 8859-9 is Windows-1254, and some versions of Node.js read Windows-1252 as ISO 8859-1.
  ["latin5", { label: "latin1", replaced: "ÐĞÝİÞŞðğýıþş" }],
  [
    "windows-1252",
    {
      label: "latin1",
      replaced:
        "\x80€\x82‚\x83ƒ\x84„\x85…\x86†\x87‡\x88ˆ\x89‰\x8aŠ\x8b‹\x8cŒ\x8eŽ\x91‘\x92’\x93“\x94”\x95•\x96–\x97—\x98˜\x99™\x9aš\x9b›\x9cœ\x9ež\x9fŸ",
    },
  ],
]);

/** How a file's bytes become text. */
export interface TextEncoding {
  /** TextDecoder's label, or `latin1`. */
  readonly label: string;
  /** Replaces the characters that PostgreSQL reads differently. */
  readonly corrected: (text: string) => string;
  /** Returns the index of a character in the corrected text that PostgreSQL would not make of the bytes, or -1. */
  readonly wrongAt: (text: string) => number;
}

/** Returns undefined for an encoding that is not supported. */
export function encodingCalled(name: string): TextEncoding | undefined {
  const key = labels.get(encodingName(name));
  if (key === undefined) return undefined;
  const encoding = encodingOfKey(key);
  try {
    // Some versions of Node.js do not have all of them.
    if (encoding.label !== "latin1") new TextDecoder(encoding.label);
  } catch {
    return undefined;
  }
  return encoding;
}

/** The encodings of a byte order mark. */
export function encodingOfKey(key: string): TextEncoding {
  const { label = key, replaced = "", refused } = exceptions.get(key) ?? {};
  const pairs = new Map([...replaced].flatMap((from, i, all) => (i % 2 === 0 ? [[from, all[i + 1]!] as const] : [])));
  const wrong = refused ?? (assignsNoControls.test(key) ? /[\x80-\x9f]/ : undefined);
  return {
    label,
    corrected: (text) =>
      pairs.size === 0 ? text : text.replaceAll(/[^\0-\x7f]/g, (character) => pairs.get(character) ?? character),
    wrongAt: (text) => (wrong === undefined ? -1 : text.search(wrong)),
  };
}

/** TextDecoder reads unassigned bytes of these as control characters. */
const assignsNoControls = /^(?:windows-|euc-|shift_jis|gbk$)/;
