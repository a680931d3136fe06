/**
 * psycopg 3 and psycopg2 with several connections each; and psycopg 3's statement names on the stock library.
 *
 * @module-tag long
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { expectAllRight, expectStockFails, pythonProgram } from "./support/check-program.ts";
import { requireClient } from "./support/installed.ts";
import { type ServerProcess, startOurs } from "./support/server-process.ts";

let server: ServerProcess;

beforeAll(async () => {
  server = await startOurs();
});
afterEach(() => server.expectHealthy());
afterAll(() => server?.stop());

describe("psycopg 3, six connections in threads", () => {
  const program = pythonProgram("with_psycopg.py");
  beforeEach((context) => requireClient(context, "psycopg 3"));

  test.each([
    ["names", 480, "its prepared statements have equal names in every connection"],
    ["evict", 1566, "it evicts the statements above its hundred with DEALLOCATE"],
    ["evict_in_pipeline", 540, "it evicts statements inside pipelines"],
    ["pipeline", 1212, "pipelines with a Sync and an error in the middle"],
    ["cursors", 72, "server-side cursors with equal names"],
    ["copy", 48, "COPY in text and binary, slow, broken and given up"],
    ["transactions", 271, "transactions with savepoints and errors"],
    ["many", 6, "executemany with results"],
  ])("%s: every one of %d answers is right (%s)", (name, checked) => expectAllRight(program, name, server, checked));

  test("names: right for one connection, but not for six, on the stock library", async () => {
    const failed = await expectStockFails(program, "names");
    expect(failed).toMatch(/DuplicatePreparedStatement|wrong answer|bind message|does not exist/);
  });
});

describe("psycopg2, six connections in threads", () => {
  const program = pythonProgram("with_psycopg2.py");
  beforeEach((context) => requireClient(context, "psycopg2"));

  test.each([
    ["queries", 1200, "a pool, with several statements in a query and errors"],
    ["transactions", 241, "transactions with savepoints and errors"],
    ["cursors", 18, "named cursors with equal names"],
    ["copy", 30, "COPY from memory, from a slow file, and broken"],
    ["values", 12, "execute_values and execute_batch"],
  ])("%s: every one of %d answers is right (%s)", (name, checked) => expectAllRight(program, name, server, checked));
});
