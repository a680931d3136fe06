/**
 * `pglite-devdb reset`: what it removes, and what it leaves alone.
 *
 * @module-tag long
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { runCli, startCli, temporaryDirectory } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";

beforeAll(initializeTemplate);

const reset = (db: string) => runCli(["reset", "--db", db]);

test("the next start of a directory is a first one", async () => {
  const db = initializedDirectory();
  const cwd = temporaryDirectory();
  writeFileSync(join(cwd, "seed.sql"), "create table seeded ()");
  const start = ["run", "--port", "0", "--db", db, "--seed", "seed.sql", "--log-level", "error", "--"];
  expect(await runCli([...start, "true"], { cwd })).toMatchObject({ code: 0, stderr: "" });
  expect(await reset(db)).toMatchObject({
    code: 0,
    stderr: `pglite-devdb: ${db} is empty: its next start migrates and seeds anew\n`,
  });
  expect(readdirSync(db)).toEqual([]);
  expect(await runCli([...start, "true"], { cwd })).toMatchObject({ code: 0, stderr: "" });
  // One that was killed has left the file that it removes last.
  for (const name of ["base", "global"]) rmSync(join(db, name), { recursive: true });
  expect((await reset(db)).code).toBe(0);
  expect(readdirSync(db)).toEqual([]);
  expect(await reset(join(cwd, "none"))).toMatchObject({ code: 0, stderr: expect.stringContaining("has no data") });
});

test("a directory in use and one of something else are left alone", async () => {
  const db = initializedDirectory();
  const cli = startCli(["--port", "0", "--migrations", "none", "--db", db]);
  await cli.line(/postgresql:/);
  expect(await reset(db)).toMatchObject({ code: 5, stderr: expect.stringContaining(`process ${cli.pid}`) });
  expect(readdirSync(db)).toContain("PG_VERSION");
  const other = temporaryDirectory();
  mkdirSync(join(other, "thesis"));
  expect(await reset(other)).toMatchObject({
    code: 5,
    stderr: expect.stringContaining("is not a PostgreSQL data directory"),
  });
  expect(readdirSync(other)).toEqual(["thesis"]);
});
