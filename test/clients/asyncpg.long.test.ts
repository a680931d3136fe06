/**
 * asyncpg with several connections; and its statement names on the stock library.
 *
 * @module-tag long
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { atOnce } from "./support/at-once.ts";
import { expectAllRight, expectRight, expectStockFails, pythonProgram } from "./support/check-program.ts";
import { requireClient } from "./support/installed.ts";
import { type ServerProcess, startOurs } from "./support/server-process.ts";

const program = pythonProgram("with_asyncpg.py");
let server: ServerProcess;

beforeAll(async () => {
  server = await startOurs();
});
beforeEach((context) => requireClient(context, "asyncpg"));
afterEach(() => server.expectHealthy());
afterAll(() => server?.stop());

test.each([
  ["unnamed", 480, "no statement cache"],
  ["evict", 720, "a statement cache that is too small"],
  ["pool", 450, "a pool of six that resets its connections, 150 users"],
  ["transactions", 181, "transactions with savepoints and errors, through a pool"],
  ["cursors", 90, "cursors that are read in parts"],
  ["copy", 60, "COPY of records and streams, slow, broken and given up"],
  ["many", 24, "executemany, and types that are looked up"],
])("%s: every one of %d answers is right for six connections (%s)", (name, checked) =>
  expectAllRight(program, name, server, checked),
);

// Its names count up over all connections of a process: they are equal only between processes.
test("names: every answer is right for four processes whose statements have equal names", async () => {
  const results = await atOnce(4, () => program("names", server.url, 3));
  for (const result of results) expectRight(result, "names", 240);
});

test("names: right for one process, but not for six, on the stock library", async () => {
  const failed = await expectStockFails(program, "names", 6);
  expect(failed).toMatch(/DuplicatePreparedStatement|wrong answer|bind message|does not exist/);
});
