/** What is refused before anything runs, with the place and the advice. */
import { describe, expect, it } from "vitest";
import { refuseUnsupported } from "../../../src/migrate/refuse-unsupported.ts";
import { chunksOf } from "../../../src/migrate/sql-file.ts";

function check(text: string, separator?: string): void {
  refuseUnsupported({
    file: { path: `${process.cwd()}/m/1.sql`, text, checksum: "" },
    chunks: chunksOf(text, separator),
  });
}

describe("refuseUnsupported", () => {
  it.each([
    [
      "\\connect",
      "select 1;\n\\connect other\nselect 2;",
      "m/1.sql:2:1: the psql meta-command \\connect",
      "delete the line",
    ],
    ["\\copy", "\\copy t from 'a.csv' csv", "m/1.sql:1:1: the psql meta-command \\copy", "--column-inserts"],
    ["\\gexec", "select 'x' \\gexec\n", "m/1.sql:1:12: the psql meta-command \\gexec", "with psql"],
    ["\\i", "\\i other.sql", "m/1.sql:1:1: the psql meta-command \\i", "included file"],
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
  ])("refuses %s", (_what, text, place, advice) => {
    expect(() => check(text)).toThrow(place);
    expect(() => check(text)).toThrow(advice);
  });

  it.each([
    ["a backslash in a string", "select '\\connect', E'\\\\copy', $$ \\gexec $$;"],
    ["the words in a comment", "-- \\connect\n/* copy t from stdin */ select 1;"],
    ["COPY to a file or from one", "copy t to stdout; copy t from '/a.csv'; copy (select 'from stdin') to stdout;"],
    ["a column named stdin", "select stdin from t; insert into copy select * from stdin;"],
  ])("lets %s pass", (_what, text) => {
    expect(() => check(text)).not.toThrow();
  });
});

it("refuses COPY with inline data between breakpoints, and takes it otherwise", () => {
  const text = "select 1;\nCOPY public.t (a, b) FROM stdin;\n1\t\\N\n\\.\n";
  expect(() => check(text, "--> statement-breakpoint")).toThrow("m/1.sql:2:1: COPY … FROM STDIN");
  check(text);
});
