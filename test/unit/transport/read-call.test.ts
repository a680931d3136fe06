/** Which texts are calls of the server's own functions. */
import { expect, test } from "vitest";
import { readCall } from "../../../src/transport/calls/read-call.ts";

test.each([
  "select pglite_devdb.snapshot('a')",
  "/* x */ SELECT * from pglite_devdb.snapshot( $1 :: text ) as done;",
  "select pglite_devdb.set_time(timestamp '2030-01-01' :: timestamp with time zone)",
  "select pglite_devdb.snapshot('it''s')",
  "select pglite_devdb.reset( )",
  // In E'…' a backslash means the same everywhere.
  String.raw`select pglite_devdb.snapshot(E'a\') -- ')`,
  String.raw`select pglite_devdb.snapshot(E'a\\b''s\'')`,
])("a call: %s", (sql) => {
  expect(readCall(sql)).toBeDefined();
});

test.each([
  "select pglite_devdb.snapshot()",
  "select pglite_devdb.reset(1)",
  "select pglite_devdb.snapshot('a') from t",
  // Whether the literal ends there depends on standard_conforming_strings.
  String.raw`select pglite_devdb.snapshot('a\') -- ')`,
  String.raw`select pglite_devdb.snapshot('a\b')`,
])("none: %s", (sql) => {
  expect(readCall(sql)).toBeUndefined();
});

test("a long text that is nearly a call is seen to be none without being read over and over", () => {
  const texts = [
    (spaces: string) => `select pglite_devdb.reset(${spaces}`,
    (spaces: string) => `select pglite_devdb.snapshot('a'::text${spaces}x y z!`,
  ];
  const [short, long] = [" ".repeat(1_000), " ".repeat(8_000)];
  // The CPU's time, and the least of it: another process takes none of that.
  const took = (sql: string) => {
    const { user } = process.cpuUsage();
    for (let round = 0; round < 20; round++) readCall(sql);
    return process.cpuUsage().user - user + 1;
  };
  const leastOf = (sql: string) => Math.min(...Array.from({ length: 9 }, () => took(sql)));
  // Eight times as long takes eight times as much, and 64 times where all is read again at each place.
  for (const text of texts) expect(leastOf(text(long)) / leastOf(text(short))).toBeLessThan(24);
});
