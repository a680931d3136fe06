/** What is refused before anything runs, with the place and the advice. */

import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { MigrationError } from "../../../src/errors.ts";
import { checkMigration, NeedsPsqlError } from "../../../src/migrate/check-migration.ts";
import { SqlFile } from "../../../src/migrate/sql-file.ts";
import { folder } from "../../migrate/fixtures.ts";

async function check(text: string | Buffer, separator?: string) {
  const file = await SqlFile.open(`${folder({ "1.sql": text })}/1.sql`, { name: `${process.cwd()}/m/1.sql` });
  return checkMigration({ name: "1", file, ledger: "", recordSql: "", ...(separator ? { separator } : {}) });
}

describe("checkMigration", () => {
  it.each([
    [
      "\\connect",
      "select 1;\n\\connect other\nselect 2;",
      "m/1.sql:2:1: the psql meta-command \\connect",
      "another database",
    ],
    ["\\copy", "\\copy t to 'a.csv' csv", "m/1.sql:1:1: the psql meta-command \\copy", "FROM 'FILE'"],
    ["\\gexec", "select 'x' \\gexec\n", "m/1.sql:1:12: the psql meta-command \\gexec", "with psql"],
    ["\\set", "\\set x 1\n", "m/1.sql:1:1: the psql meta-command \\set", "with psql"],
    [
      "dbmate",
      "-- migrate:up\ncreate table t();\n-- migrate:down\ndrop table t;",
      "m/1.sql:3:1: an undo section of dbmate",
      "down.sql",
    ],
    [
      "goose",
      "-- +goose Up\ncreate table t();\n-- +goose Down\ndrop table t;",
      "m/1.sql:3:1: an undo section of goose",
      "down.sql",
    ],
    [
      "sql-migrate",
      "-- +migrate Up\nselect 1;\n-- +migrate Down\n",
      "m/1.sql:3:1: an undo section of sql-migrate",
      "down.sql",
    ],
    [
      "node-pg-migrate",
      "-- Up Migration\nselect 1;\n-- Down Migration\n",
      "m/1.sql:3:1: an undo section of node-pg-migrate",
      "down.sql",
    ],
  ])("refuses %s", async (_what, text, place, advice) => {
    await expect(check(text)).rejects.toThrow(place);
    await expect(check(text)).rejects.toThrow(advice);
  });

  it.each([
    ["BEGIN", "begin;\nselect 1;\n", 1],
    ["COMMIT AND CHAIN", "select 1; begin;\ncommit and chain;", 2],
    ["START TRANSACTION after a COMMIT", "begin; commit;\nstart transaction; rollback to savepoint s;", 2],
  ])("refuses a file that does not end the transaction of a %s", async (_what, text, line) => {
    await expect(check(text)).rejects.toThrow(`m/1.sql:${line}:`);
    await expect(check(text)).rejects.toThrow("COMMIT");
  });

  it.each([
    ["gzip", gzipSync("select 1;\n\\set x 1\n")],
    ["UTF-16", Buffer.from("\ufeffselect 1;\n\\set x 1\n", "utf16le")],
  ])("does not ask for psql, which cannot read %s", async (_what, bytes) => {
    const error = await check(bytes).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(MigrationError);
    expect(error).not.toBeInstanceOf(NeedsPsqlError);
    expect(String(error)).toMatch(/m\/1\.sql:2:1: .*\\set[\s\S]*UTF-8/);
  });

  it.each([
    ["a string", "select '\n-- migrate:down\n';"],
    ["a dollar quote", "select $$\n-- +goose Down\n$$;"],
    ["a block comment", "/*\n-- migrate:down\n*/ select 1;"],
    ["the data of a COPY", "copy t from stdin;\n-- migrate:down\n\\.\n"],
    ["a comment after a statement", "select 1; -- migrate:down is not used here"],
  ])("takes a line in %s for no undo section", async (_what, text) => {
    await expect(check(text)).resolves.toMatchObject({ statementCount: 1 });
  });

  it.each([
    ["a backslash in a string", "select '\\connect', E'\\\\copy', $$ \\gexec $$;"],
    ["the words in a comment", "-- \\connect\n/* copy t from stdin */ select 1;"],
    ["COPY to a file or from one", "copy t to stdout; copy t from '/a.csv'; copy (select 'from stdin') to stdout;"],
    ["a column named stdin", "select stdin from t; insert into copy select * from stdin;"],
  ])("lets %s pass", async (_what, text) => {
    await expect(check(text)).resolves.toMatchObject({ controlsTransactions: false });
  });
});

it("refuses COPY with inline data between breakpoints, and takes it otherwise", async () => {
  const text = "select 1;\nCOPY public.t (a, b) FROM stdin;\n1\t\\N\n\\.\n";
  await expect(check(text, "--> statement-breakpoint")).rejects.toThrow("m/1.sql:2:1: COPY … FROM STDIN");
  await expect(check(text)).resolves.toMatchObject({ statementCount: 2 });
});
