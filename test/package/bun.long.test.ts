/**
 * A program that Bun runs, with the oldest version that can run the server and with one that cannot.
 *
 * @module-tag long
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { requirePackage } from "../clients/support/npm-packages.ts";
import { run } from "../clients/support/run-program.ts";
import { makeProject } from "../clients/support/runner-project.ts";

const program = `
  import pg from "pg";
  import { startDevDb } from "pglite-devdb";
  const db = await startDevDb({ port: 0, db: process.argv[2] });
  const [one, other] = [new pg.Client(db.url), new pg.Client(db.url)];
  await Promise.all([one.connect(), other.connect()]);
  await one.query("begin; create table seen (n int); insert into seen values (1)");
  const { rows } = await other.query("select to_regclass('seen') as seen");
  await one.query("commit");
  const { rows: [{ n }] } = await other.query("select n from seen");
  await Promise.all([one.end(), other.end()]);
  await db.close();
  console.log(db.sessions, rows[0].seen, n);
`;

test.for(["memory://", "./data"])("Bun runs the server on %s", async (db, context) => {
  const bun = join(requirePackage(context, "Bun"), "bin/bun");
  const directory = makeProject("node-test", {});
  writeFileSync(join(directory, "program.ts"), program);
  const ended = await run(bun, ["program.ts", db], { cwd: directory });
  expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining("isolated null 1") });
});

test("an older Bun is told what to do, and nothing is said of the directory", async (context) => {
  const bun = join(requirePackage(context, "Bun 1.3"), "bin/bun");
  const directory = makeProject("node-test", {});
  mkdirSync(join(directory, "data"));
  writeFileSync(join(directory, "program.ts"), program);
  const ended = await run(bun, ["program.ts", "./data"], { cwd: directory });
  expect(ended.code).not.toBe(0);
  expect(ended.stderr).toContain("Bun 1.3.4 cannot run the server: update to Bun 1.4 or later");
  expect(ended.stderr).not.toMatch(/delete|data directory/);
});
