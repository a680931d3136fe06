/** A file of SQL: places as a person and as PostgreSQL count them, encodings, checksums, and the cut into chunks. */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { MigrationError } from "../../../src/errors.ts";
import { SqlFile } from "../../../src/migrate/sql-file.ts";
import { offsetOfCharacter, placeAfter } from "../../../src/migrate/sql-place.ts";
import { folder } from "../../migrate/fixtures.ts";

const open = (content: string | Buffer, name = "a.sql") => SqlFile.open(`${folder({ [name]: content })}/${name}`);

async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** The chunks as text, with the data of COPYs behind them. */
async function read(file: SqlFile, separator?: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { text, copyData } of file.chunks(separator)) {
    found.push(text);
    if (!copyData) continue;
    const data: Uint8Array[] = [];
    for await (const piece of copyData) data.push(piece);
    found.push(`data: ${Buffer.concat(data).toString()}`);
  }
  return found;
}

describe("places in a file", () => {
  it.each([
    ["LF", "a\nbc\nd"],
    ["CRLF", "a\r\nbc\r\nd"],
    ["CR", "a\rbc\rd"],
  ])("counts lines that end with %s", (_name, text) => {
    expect(placeAfter(text.slice(0, text.indexOf("c")))).toEqual({ line: 2, column: 2 });
    expect(placeAfter(text.slice(0, text.indexOf("d")))).toEqual({ line: 3, column: 1 });
    expect(placeAfter("x", placeAfter(text))).toEqual({ line: 3, column: 3 });
  });

  it("counts characters, not UTF-16 units or bytes", () => {
    const text = "select 'é😀', nope";
    expect(offsetOfCharacter(text, [...text].indexOf("n") + 1)).toBe(text.indexOf("nope"));
    expect(placeAfter(text.slice(0, text.indexOf("nope")))).toEqual({ line: 1, column: 14 });
  });

  it("keeps a position past the end inside the text", () => {
    expect(offsetOfCharacter("ab", 9)).toBe(2);
  });
});

describe("the encoding of a file", () => {
  it("leaves a byte order mark out of the text and in the checksum", async () => {
    const bytes = Buffer.from("\ufeffselect 'é';\r\n");
    const file = await open(bytes);
    expect(await read(file)).toEqual(["select 'é';\r\n"]);
    const { bytes: checksum, lf } = await file.checksums();
    expect(checksum).toBe(createHash("sha256").update(bytes).digest("hex"));
    expect(lf).toBe(createHash("sha256").update("select 'é';\n").digest("hex"));
  });

  const euro = Buffer.from([0xa4]);
  const inEncoding = (encoding: string, bytes: string) =>
    Buffer.concat([
      Buffer.from(`set client_encoding = '${encoding}'; select '`),
      Buffer.from(bytes.replaceAll(" ", ""), "hex"),
      Buffer.from("';"),
    ]);

  it.each([
    ["a comment", "-- a\n/*\nset client_encoding = 'LATIN1';\n*/ select 'é';"],
    ["a string", "select '\nset client_encoding = ''LATIN1'';\n', 'é';"],
    ["a dollar quote", "select $$\nset client_encoding = 'LATIN1';\n$$, 'é';"],
    ["a function", "create function f() returns void set client_encoding = 'LATIN1' begin atomic select 'é'; end;"],
  ])("is not what %s says", async (_where, text) => {
    expect(await read(await open(text))).toEqual([text]);
  });

  it("is not what the data of a COPY says", async () => {
    const data = "set client_encoding = 'LATIN1';\n\\encoding LATIN1\né\n";
    expect(await read(await open(`copy t from stdin;\n${data}\\.\n`))).toEqual(["copy t from stdin", `data: ${data}`]);
  });

  it("is that of the data of a COPY with the same encoding", async () => {
    const sql =
      "set client_encoding = 'LATIN1';copy t (encoding) from stdin (format csv, encoding 'latin-1');\né\n\\.\n";
    expect(await read(await open(Buffer.from(sql, "latin1")))).toEqual([
      "copy t (encoding) from stdin (format csv, encoding 'UTF8')",
      "data: é\n",
    ]);
  });

  it("is followed between a migration tool's separators", async () => {
    const sql = "select 1;--> b\nset client_encoding = 'LATIN1'; select 'é';";
    const chunks = await allOf((await open(Buffer.from(sql, "latin1"))).chunks("--> b"));
    expect(chunks.map(({ text }) => text.trim().replace(/^;\s*/, ""))).toEqual(["select 1;", "select 'é';"]);
    expect(chunks[1]!.text.indexOf("é")).toBe(sql.split("--> b")[1]!.indexOf("é"));
  });

  const large = (text: string, end: string) => {
    const line = `${text}\n`;
    return line.repeat(Math.ceil((1 << 16) / Buffer.byteLength(line)) + 1) + end;
  };
  it.each<[string, Buffer]>([
    [
      "after a character that a piece of the file divides",
      Buffer.concat([Buffer.from(large("--日本語", "\n\n")), Buffer.from([0xff])]),
    ],
    ["in UTF-16", Buffer.from(large("\ufeffselect 'ਊ';", "\n\n\ud800select"), "utf16le")],
  ])("counts the lines before a bad byte %s", async (_where, bytes) => {
    const lines = bytes.toString(bytes[0] === 0xff ? "utf16le" : "utf8").split("\n").length;
    await expect(open(bytes).then((file) => read(file))).rejects.toThrow(`a.sql:${lines}: `);
  });
  it.each<[string, Buffer, string]>([
    ["UTF-16 LE with a byte order mark", Buffer.from("\ufeffselect 'é€';", "utf16le"), "select 'é€';"],
    ["UTF-16 BE with a byte order mark", Buffer.from("\ufeffselect 'é€';", "utf16le").swap16(), "select 'é€';"],
    [
      "LATIN1, by SET",
      Buffer.from("SET client_encoding = 'LATIN1';\nselect 'é\u0080';", "latin1"),
      "\nselect 'é\u0080';",
    ],
    ["latin-1, by SET TO", Buffer.from("set client_encoding to latin1; select 'é';", "latin1"), " select 'é';"],
    [
      "LATIN9",
      Buffer.concat([Buffer.from("set client_encoding = 'iso_8859_15';select '"), euro, Buffer.from("';")]),
      "select '€';",
    ],
    [
      "WIN1252, by \\encoding",
      Buffer.concat([Buffer.from("\\encoding WIN1252\nselect '"), Buffer.from([0x80]), Buffer.from("';")]),
      "select '€';",
    ],
    [
      "SJIS",
      Buffer.concat([Buffer.from("set names 'SJIS';select '"), Buffer.from([0x93, 0xfa]), Buffer.from("';")]),
      "select '日';",
    ],
    [
      "EUC_JP",
      Buffer.concat([
        Buffer.from("set client_encoding = EUC_JP;select '"),
        Buffer.from([0xc6, 0xfc]),
        Buffer.from("';"),
      ]),
      "select '日';",
    ],
    ["UTF-8, said by SET", Buffer.from("SET client_encoding = 'UTF8';select 'é';"), "select 'é';"],
    ["gzip", gzipSync("select 'é';"), "select 'é';"],
    [
      "LATIN1 that a statement later in a line declares",
      Buffer.from("SET names /* - */ 'LATIN1'; select 'é';", "latin1"),
      " select 'é';",
    ],
    ...(
      [
        ["KOI8U", "ae be a4", "╝╬є"],
        ["EUC_CN", "a1a4 a1aa", "・―"],
        ["EUC_JP", "8fa2c3", "￤"],
        ["WIN1252", "80 9f e9", "€Ÿé"],
        ["LATIN5", "d0 dd de f0 fd fe 80 e9", "ĞİŞğış\u0080é"],
      ] as const
    ).map(([encoding, bytes, text]): [string, Buffer, string] => [
      `${encoding} as PostgreSQL does`,
      inEncoding(encoding, bytes),
      ` select '${text}';`,
    ]),
  ])("reads %s", async (_name, bytes, text) => {
    expect(await read(await open(bytes))).toEqual([text]);
  });

  it.each<[string, Buffer, RegExp]>([
    ["UTF-16 without a byte order mark", Buffer.from("select 1;", "utf16le"), /UTF-16[\s\S]*iconv -f UTF-16LE/],
    [
      "UTF-16 BE without a byte order mark",
      Buffer.from("select 'é';", "utf16le").swap16(),
      /UTF-16[\s\S]*iconv -f UTF-16BE/,
    ],
    [
      "LATIN1 that is not said to be",
      Buffer.from("select 1;\nselect 'é';", "latin1"),
      /a\.sql:2: .*not UTF8[\s\S]*iconv/,
    ],
    ["a NUL", Buffer.from("select 1;\n\0drop table t;"), /a\.sql:2: .*NUL/],
    ["half a character at the end", Buffer.from([0x2d, 0x2d, 0xc3]), /a\.sql:1: .*last bytes/],
    [
      "an encoding that is not known here",
      Buffer.from("set client_encoding = 'MULE_INTERNAL';"),
      /MULE_INTERNAL[\s\S]*iconv/,
    ],
    [
      "an encoding that is said too late",
      Buffer.from(`select 1;\n${" ".repeat(70_000)}\nselect 2; set client_encoding = 'LATIN1';`),
      /a\.sql:3:11: .*LATIN1.*UTF8[\s\S]*first 64 kB/,
    ],
    ["UHC, which Node.js decodes wrongly", inEncoding("UHC", "8c63"), /UHC[\s\S]*iconv/],
    ["WIN949, which is UHC", inEncoding("WINDOWS-949", "8c63"), /WINDOWS-949[\s\S]*iconv -f CP949/],
    ...(
      [
        ["WIN1252", "81"],
        ["WINDOWS-1254", "9e"],
        ["WIN1255", "9f"],
        ["EUC_KR", "8c63"],
        ["BIG5", "a145"],
        ["BIG5", "c6a1"],
        ["GB18030", "a6d9"],
      ] as const
    ).map(([encoding, bytes]): [string, Buffer, RegExp] => [
      `${encoding} with ${bytes}, which is another character in PostgreSQL, or none,`,
      inEncoding(encoding, bytes),
      new RegExp(`a\\.sql:1: .*${encoding}.*PostgreSQL`),
    ]),
    [
      "another encoding after a byte order mark",
      Buffer.from("\ufeff-- a\nset client_encoding = 'LATIN1'; select 'é';"),
      /a\.sql:2:1: .*LATIN1.*UTF8/,
    ],
    [
      "an encoding that set_config sets",
      Buffer.from("select 1;\nselect pg_catalog.set_config('client_encoding', 'LATIN1', false);"),
      /a\.sql:2:1: .*set_config[\s\S]*SET client_encoding/,
    ],
    [
      "a COPY with another encoding than the file",
      Buffer.from("set client_encoding = 'LATIN1';\ncopy t from stdin (encoding 'UTF8');\né\n\\.\n"),
      /a\.sql:2:1: .*UTF8.*LATIN1/,
    ],
    [
      "a COPY with another encoding without quotes",
      Buffer.from("copy encoding (encoding) from stdin (format csv, encoding latin1);\né\n\\.\n"),
      /a\.sql:1:1: .*latin1.*UTF8/,
    ],
    [
      "a statement after COPY on the same line",
      Buffer.from("select 1;\ncopy t from stdin; delete from t;\n1\n\\.\n"),
      /a\.sql:2:19: .*COPY/,
    ],
    [
      "COPY with lines that end with CR",
      Buffer.from("copy t from stdin;\r1\r\\.\rselect 1;\r"),
      /a\.sql:1:19: .*COPY[\s\S]*LF or CRLF/,
    ],
    [
      "strings with escapes that a transaction may undo",
      Buffer.from("begin; set standard_conforming_strings = off;\nrollback;"),
      /a\.sql:2:1: ROLLBACK/,
    ],
    [
      "strings with escapes in a transaction",
      Buffer.from("set local standard_conforming_strings to 'false';"),
      /a\.sql:1:1: SET LOCAL/,
    ],
    ["a dump in the custom format", Buffer.from("PGDMP\x01\x0e\0"), /custom format[\s\S]*pg_restore/],
    ["bzip2", Buffer.from("BZh91AY&SY"), /bzip2[\s\S]*bunzip2/],
    ["Zstandard", Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x24]), /Zstandard[\s\S]*unzstd/],
    ["a damaged gzip", gzipSync("select 1;").subarray(0, 15), /could not decompress .*a\.sql/],
  ])("refuses %s by name", async (_name, bytes, message) => {
    const read_ = async () => read(await open(bytes));
    const error = await read_().then(
      () => undefined,
      (reason: Error) => reason,
    );
    expect(error).toBeInstanceOf(MigrationError);
    expect(error?.message).toMatch(message);
  });

  it("names a missing file", async () => {
    const missing = SqlFile.open("/nowhere/a.sql");
    await expect(missing).rejects.toThrow(MigrationError);
    await expect(missing).rejects.toThrow(/could not read .*nowhere.a\.sql/);
  });
});

describe("the chunks of a file", () => {
  it("are cut at a separator, with their places, and none is without a statement", async () => {
    const file = await open("-- nothing\n--> b\nselect 1;--> b\n\nselect 2; select 3;");
    const chunks = await allOf(file.chunks("--> b"));
    expect(chunks.map(({ statements }) => statements.length)).toEqual([1, 2]);
    expect(chunks.map(({ place }) => place)).toEqual([
      { line: 2, column: 6 },
      { line: 3, column: 15 },
    ]);
  });

  it("are the whole file where it is small, with its comments", async () => {
    const text = "-- a\nselect 1; /* b */ select ';';\n-- c\n";
    expect(await read(await open(text))).toEqual([text]);
    expect(await read(await open("-- nothing\n"))).toEqual([]);
  });

  it("have the data of a COPY apart, to its end mark or to the file's end", async () => {
    const text = "\\restrict x\nselect 1;copy t from stdin;\n1\n\\.x\n\\.\nselect 2;\ncopy u from stdin csv;\r\n3\r\n";
    expect(await read(await open(text))).toEqual([
      "select 1;",
      "copy t from stdin",
      "data: 1\n\\.x\n",
      "select 2;\n",
      "copy u from stdin csv",
      "data: 3\r\n",
    ]);
  });

  it("have data whose line ends only with LF or CRLF, and may have comments on the line of its COPY", async () => {
    const data = '"a\r\\.\u2028\\.\n"\n';
    expect(await read(await open(`copy t from stdin csv; /* a */ ; -- b\n${data}\\.\n`))).toEqual([
      "copy t from stdin csv",
      `data: ${data}`,
    ]);
  });

  it("end after a statement that changes what a backslash is in a string", async () => {
    const off = "set standard_conforming_strings = off;";
    const escaped = " insert into t values ('a\\'; b', 'c'\n'd\\'e;');";
    const on = " select set_config('standard_conforming_strings', 'on', false);";
    const plain = String.raw` select 'C:\'; select 2;`;
    const chunks = await allOf((await open(`select 1; ${off}${escaped}${on}${plain}`)).chunks());
    expect(chunks.map(({ text }) => text)).toEqual([`select 1; ${off}`, `${escaped}${on}`, plain]);
    expect(chunks.map(({ statements }) => statements.length)).toEqual([2, 2, 2]);
    const separated = (await open(`select 1;--> b\n${off}`)).chunks("--> b");
    await expect(allOf(separated)).rejects.toThrow(/a\.sql:2:1: standard_conforming_strings/);
  });

  it("are read with the setting of a file that includes them, and the other way round", async () => {
    const directory = folder({
      "a.sql": "set standard_conforming_strings = off;\n\\i b.sql\nselect 'C:\\'; select 3;",
      "b.sql": "select 'a\\'; b'; select 2; reset all;",
    });
    const chunks = await allOf((await SqlFile.open(`${directory}/a.sql`)).chunks());
    expect(chunks.map(({ statements }) => statements.length)).toEqual([1, 3, 2]);
  });

  it("go on behind data that was not taken, or not all of it", async () => {
    const data = "a line\n".repeat(300_000);
    const file = await open(`copy t from stdin;\n${data}\\.\nselect 2;`);
    const texts: string[] = [];
    for await (const { text, copyData } of file.chunks()) {
      texts.push(text);
      for await (const _ of copyData ?? []) break;
    }
    expect(texts).toEqual(["copy t from stdin", "select 2;"]);
  });

  it("are whole statements in a large file, wherever it is cut while it is read", async () => {
    const statement = (i: number) => `insert into t values (${i}, 'a;b', $$ ; $$, E'\\';', /* ; */ "q;") -- ;\n;\n`;
    const text = Array.from({ length: 60_000 }, (_, i) => statement(i)).join("");
    const chunks = await allOf((await open(text)).chunks());
    expect(chunks.length).toBeGreaterThan(2);
    expect(chunks.map((chunk) => chunk.text).join("")).toBe(text);
    expect(chunks.reduce((sum, { statements }) => sum + statements.length, 0)).toBe(60_000);
    const last = chunks.at(-1)!;
    expect(last.place).toEqual(placeAfter(text.slice(0, last.offset)));
  });

  it("are those of included files, too, which are relative to the file", async () => {
    const directory = folder({
      "a.sql": "select 1;\n\\i sub/b.sql\n\\ir 'c''d.sql'\nselect 4;",
      "sub/b.sql": "select 2;\n\\ir ../e.sql\n",
      "c'd.sql": "select 3;",
      "e.sql": "select 22;",
    });
    const texts = await read(await SqlFile.open(`${directory}/a.sql`));
    expect(texts.map((text) => text.trim())).toEqual([
      "select 1;",
      "select 2;",
      "select 22;",
      "select 3;",
      "select 4;",
    ]);
  });

  it("of files that include each other are refused", async () => {
    const directory = folder({ "a.sql": "\\i b.sql\n", "b.sql": "\\i a.sql\n" });
    await expect(read(await SqlFile.open(`${directory}/a.sql`))).rejects.toThrow(/include each other/);
  });

  it("have the data of a \\copy from a file beside it", async () => {
    const directory = folder({ "a.sql": "\\copy t (a) from 'd.csv' with (format csv)\nselect 1;", "d.csv": "1\n2\n" });
    expect(await read(await SqlFile.open(`${directory}/a.sql`))).toEqual([
      "COPY t (a) FROM STDIN with (format csv)",
      "data: 1\n2\n",
      "select 1;",
    ]);
    const missing = folder({ "a.sql": "select 1;\n\\copy t from d.csv\n" });
    await expect(read(await SqlFile.open(`${missing}/a.sql`))).rejects.toThrow(/a\.sql:2:1: could not read .*d\.csv/);
  });
});
