/** `pglite-devdb wipe`: what it deletes, what it leaves alone, and that it asks. */
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { runCli, startCli, temporaryDirectory } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";

beforeAll(initializeTemplate);

const wipe = (db: string) => runCli(["wipe", "--yes", "--db", db]);

test("the next start of a directory is a first one", async () => {
  const db = initializedDirectory();
  const cwd = temporaryDirectory();
  writeFileSync(join(cwd, "seed.sql"), "create table seeded ()");
  const start = ["run", "--port", "0", "--db", db, "--seed", "seed.sql", "--log-level", "error", "--"];
  expect(await runCli([...start, "true"], { cwd })).toMatchObject({ code: 0, stderr: "" });
  expect(await wipe(db)).toMatchObject({
    code: 0,
    stderr: expect.stringContaining(`deleted the data in ${db}`),
  });
  expect(readdirSync(db)).toEqual([]);
  expect(await runCli([...start, "true"], { cwd })).toMatchObject({ code: 0, stderr: "" });
  // One that was killed has left the file that it removes last.
  for (const name of ["base", "global"]) rmSync(join(db, name), { recursive: true });
  expect((await wipe(db)).code).toBe(0);
  expect(readdirSync(db)).toEqual([]);
  expect(await wipe(join(cwd, "none"))).toMatchObject({ code: 0, stderr: expect.stringContaining("has no data") });
});

test("a directory in use and one of something else are left alone", async () => {
  const db = initializedDirectory();
  const cli = startCli(["--port", "0", "--migrations", "none", "--db", db]);
  await cli.line(/postgresql:/);
  expect(await wipe(db)).toMatchObject({ code: 5, stderr: expect.stringContaining(`process ${cli.pid}`) });
  expect(readdirSync(db)).toContain("PG_VERSION");
  const other = temporaryDirectory();
  mkdirSync(join(other, "thesis"));
  expect(await wipe(other)).toMatchObject({
    code: 5,
    stderr: expect.stringContaining("is not a PostgreSQL data directory"),
  });
  expect(readdirSync(other)).toEqual(["thesis"]);
});

test("without a terminal and --yes a directory that package.json or the environment names is left alone", async () => {
  const db = initializedDirectory();
  const cwd = temporaryDirectory();
  writeFileSync(join(cwd, "package.json"), JSON.stringify({ "pglite-devdb": { db } }));
  const refused = { code: 2, stderr: expect.stringMatching(`wipe: .*${db}.*--yes`) };
  expect(await runCli(["wipe"], { cwd })).toMatchObject(refused);
  expect(await runCli(["wipe"], { environment: { DEV_DB_PATH: db } })).toMatchObject(refused);
  // It is the undo of a running server: of a directory it says what deletes its data.
  for (const settings of [{ cwd }, { environment: { DEV_DB_PATH: db } }])
    expect((await runCli(["reset", "--url", "postgresql://127.0.0.1:1/x"], settings)).code).not.toBe(0);
  expect((await runCli(["reset"], { cwd, environment: { DATABASE_URL: "postgresql://127.0.0.1:1/x" } })).code).not.toBe(
    0,
  );
  expect(await runCli(["reset", "--db", db])).toMatchObject({ code: 2, stderr: expect.stringContaining("wipe --db") });
  expect(readdirSync(db)).toContain("PG_VERSION");
});

test.each([
  ["n", 1],
  ["y", 0],
])("on a terminal it asks, and %s is the answer", async (answer, code) => {
  const db = initializedDirectory();
  const cli = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
  const command = [process.execPath, cli, "wipe", "--db", db].map((word) => `'${word}'`).join(" ");
  // script(1) gives it a terminal.
  const child = spawn("script", ["-qec", command, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
  let said = "";
  for await (const text of child.stdout.setEncoding("utf8")) {
    if (!said.includes("[y/N]") && (said + text).includes("[y/N]")) child.stdin.end(`${answer}\n`);
    said += text;
  }
  expect(said).toContain(`Delete all data in ${db}`);
  expect(
    await new Promise((resolve) => (child.exitCode === null ? child.once("exit", resolve) : resolve(child.exitCode))),
  ).toBe(code);
  expect(readdirSync(db).includes("PG_VERSION")).toBe(answer === "n");
});
