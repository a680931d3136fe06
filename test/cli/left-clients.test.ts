/** Code of the user's that leaves a client of pg open: nothing of the server or of the command notices. */
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runCli, startCli, temporaryDirectory } from "../support/cli-process.ts";

const modules = fileURLToPath(new URL("../../node_modules", import.meta.url));

function project(files: Readonly<Record<string, string>>): string {
  const directory = temporaryDirectory();
  symlinkSync(modules, join(directory, "node_modules"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}

const leavesPool = `import pg from "pg";
  export default async (url) => { await new pg.Pool({ connectionString: url }).query("create table made ()") };`;
const leavesClients = `import pg from "pg";
  export default async (url) => {
    for (const name of ["a", "b"]) {
      const client = new pg.Client(url);
      await client.connect();
      await client.query("create table " + name + " ()");
    }
  };`;

const asks = `const { Client } = require("pg");
  (async () => {
    for (let n = 0; n < 5; n++) {
      const client = new Client(process.env.DATABASE_URL);
      await client.connect();
      await client.query("select 1");
      await client.end();
    }
    process.exit(7);
  })();`;

test.each([
  ["a pool", leavesPool, "1 connection"],
  ["two clients", leavesClients, "2 connections"],
])("run: a seed that leaves %s open does not end the command", async (_, seed, left) => {
  const cwd = project({ "seed.mjs": seed });
  // By then the left client's end, had it come, would have been read by the seed's process.
  const command = ["--", process.execPath, "-e", asks];
  const end = await runCli(["run", "--port", "0", "--migrations", "none", "--seed", "seed.mjs", ...command], { cwd });
  expect(end.stderr).toContain(`the seed left ${left} open`);
  expect(end.stderr).not.toMatch(/unhandled|57P01|\n +at /i);
  expect(end.code).toBe(7);
});

test("start: a client that a seed left open hears nothing before the server ends, and then ends nothing", async () => {
  const cwd = project({ "seed.mjs": leavesPool });
  const cli = startCli(["--port", "0", "--migrations", "none", "--seed", "seed.mjs"], { cwd });
  await cli.line(/postgresql:/);
  cli.child.kill("SIGTERM");
  const end = await cli.ended;
  expect(end.stderr).toContain("the seed left 1 connection open");
  expect(end.stderr).not.toMatch(/unhandled|\n +at /i);
  expect(end.code).toBe(143);
});

test("explore: a module with a pool passes with exit 0 and without a stack", async () => {
  const cwd = project({
    "module.mjs": `import pg from "pg";
      const pool = new pg.Pool();
      export default {
        actors: { one: () => pool.query("insert into t values (1)"), two: () => pool.query("select * from t") },
        invariant: async () => {},
      };`,
  });
  writeFileSync(join(cwd, "seed.sql"), "create table t (v int);");
  const end = await runCli(["explore", "--port", "0", "--migrations", "none", "--seed", "seed.sql", "module.mjs"], {
    cwd,
  });
  expect(end.stderr).not.toMatch(/unhandled|57P01|\n +at /i);
  expect(end.stdout).toMatch(/pass/);
  expect(end.code).toBe(0);
});

test("an error that nobody catches still ends the process with exit 1", async () => {
  const cwd = project({
    "seed.mjs": `export default async () => { setTimeout(() => { throw new Error("mine") }); await new Promise(() => {}); };`,
  });
  const end = await runCli(["run", "--port", "0", "--migrations", "none", "--seed", "seed.mjs", "--", "true"], { cwd });
  expect(end.stderr).toContain("mine");
  expect(end.code).toBe(1);
});
