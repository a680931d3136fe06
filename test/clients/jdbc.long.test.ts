/**
 * The JDBC driver with several connections; and its statement names on the stock library.
 *
 * @module-tag long
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { compileJava, expectAllRight, expectStockFails, javaProgram } from "./support/check-program.ts";
import { isInstalled, requireClient } from "./support/installed.ts";
import { type ServerProcess, startOurs } from "./support/server-process.ts";

const classes = mkdtempSync(join(tmpdir(), "jdbc-classes-"));
const program = javaProgram(classes);
let server: ServerProcess;

beforeAll(async () => {
  if (isInstalled("JDBC")) await compileJava(classes);
  server = await startOurs();
});
beforeEach((context) => requireClient(context, "JDBC"));
afterEach(() => server.expectHealthy());
afterAll(async () => {
  rmSync(classes, { recursive: true, force: true });
  await server?.stop();
});

test.each([
  ["names", 480, "prepareThreshold=1: its prepared statements have equal names in every connection"],
  ["shapes", 1296, "every query mode, generated keys, several statements in a query, errors"],
  ["batches", 36, "batches, also rewritten, and one whose middle fails"],
  ["cursors", 27018, "two results at a time that are fetched in parts"],
  ["copy", 42, "CopyManager in and out, slow, broken and given up"],
  ["transactions", 242, "transactions with savepoints, by hand and the driver's own"],
])("%s: every one of %d answers is right for six connections (%s)", (name, checked) =>
  expectAllRight(program, name, server, checked),
);

test("names: right for one connection, but not for six, on the stock library", async () => {
  const failed = await expectStockFails(program, "names");
  expect(failed).toMatch(/already exists|wrong answer|bind message|does not exist/);
});
