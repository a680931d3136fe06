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
  ])("reads %s", async (_name, bytes, text) => {
    expect(await read(await open(bytes))).toEqual([text]);
  });

  it.each<[string, Buffer, RegExp]>([
    ["UTF-16 without a byte order mark", Buffer.from("select 1;", "utf16le"), /a\.sql:1: .*NUL/],
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
      Buffer.concat([Buffer.alloc(70_000, " "), Buffer.from("set client_encoding = 'LATIN1';")]),
      /a\.sql:1:\d+: .*LATIN1.*UTF8/,
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
