/** Tokens of SQL texts that a lexer with more than one way to read them would never come to the end of. */
import { expect, test } from "vitest";
import { tokenize } from "../../../src/sql/tokens.ts";

const many = 100_000;

test.each([
  ["dashes behind a string", `select E'x' ${"-".repeat(many)}(40) copy`, ["select", "x"]],
  ["comments behind a string", `select E'x'${"--\n".repeat(many)};`, ["select", "x", ";"]],
  ["blanks and lines behind a string", `select E'x'${" \n\t".repeat(many)};`, ["select", "x", ";"]],
  [
    "a string in many pieces",
    `select E'x'${"\n'y'".repeat(many)}`,
    ["select", `x'${"\n'y'".repeat(many).slice(0, -1)}`],
  ],
])("%s", (_, sql, texts) => {
  expect(tokenize(sql).map(({ text }) => text)).toEqual(texts);
});

test("a string goes on behind a newline and comments, with the rules of its beginning", () => {
  const pieces = ["-- ';\n", " -- a\n\t-- b '\n ", "\f\v\r\n-- '\r"];
  for (const between of pieces) {
    const sql = `E'x'${between}'\\';y' z`;
    expect(tokenize(sql).map(({ start, end }) => [start, end])).toEqual([
      [0, sql.length - 2],
      [sql.length - 1, sql.length],
    ]);
  }
});
