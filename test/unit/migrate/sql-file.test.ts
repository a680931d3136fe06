/** Places in a file, as a person and as PostgreSQL count them, and what counts as text. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { MigrationError } from "../../../src/errors.ts";
import { chunksOf, lineAndColumn, offsetOfCharacter, readSqlFile } from "../../../src/migrate/sql-file.ts";
import { folder } from "../../migrate/fixtures.ts";

describe("places in a file", () => {
  it.each([
    ["LF", "a\nbc\nd"],
    ["CRLF", "a\r\nbc\r\nd"],
    ["CR", "a\rbc\rd"],
  ])("counts lines that end with %s", (_name, text) => {
    expect(lineAndColumn(text, text.indexOf("c"))).toEqual({ line: 2, column: 2 });
    expect(lineAndColumn(text, text.indexOf("d"))).toEqual({ line: 3, column: 1 });
  });

  it("counts characters, not UTF-16 units or bytes", () => {
    const text = "select 'é😀', nope";
    expect(offsetOfCharacter(text, [...text].indexOf("n") + 1)).toBe(text.indexOf("nope"));
    expect(lineAndColumn(text, text.indexOf("nope"))).toEqual({ line: 1, column: 14 });
  });

  it("keeps a position past the end inside the text", () => {
    expect(offsetOfCharacter("ab", 9)).toBe(2);
  });
});

describe("chunksOf", () => {
  it("gives each chunk its offset and leaves out chunks without a statement", () => {
    const text = "-- nothing\n--> b\nselect 1;--> b\n\nselect 2; select 3;";
    const chunks = chunksOf(text, "--> b");
    expect(chunks.map(({ statements }) => statements.length)).toEqual([1, 2]);
    for (const chunk of chunks) expect(text.slice(chunk.offset, chunk.offset + chunk.text.length)).toBe(chunk.text);
  });
});

describe("readSqlFile", () => {
  it("leaves a byte order mark out of the text and in the checksum", async () => {
    const bytes = Buffer.from("\ufeffselect 'é';\r\n");
    const directory = folder({ "a.sql": bytes });
    const file = await readSqlFile(`${directory}/a.sql`);
    expect(file.text).toBe("select 'é';\r\n");
    expect(file.checksum).toBe(createHash("sha256").update(bytes).digest("hex"));
  });

  it.each([
    ["UTF-16", Buffer.from("select 1;", "utf16le")],
    ["Latin-1", Buffer.from("select 'é';", "latin1")],
    ["a NUL byte", Buffer.from("select 1;\0drop table t;")],
  ])("refuses %s by name", async (_name, bytes) => {
    const directory = folder({ "a.sql": bytes });
    await expect(readSqlFile(`${directory}/a.sql`)).rejects.toThrow(/a\.sql is not UTF-8 text/);
  });

  it("names a missing file", async () => {
    const missing = readSqlFile("/nowhere/a.sql");
    await expect(missing).rejects.toThrow(MigrationError);
    await expect(missing).rejects.toThrow(/nowhere.a\.sql cannot be read/);
  });
});
