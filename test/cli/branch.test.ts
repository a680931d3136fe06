/** `pglite-devdb branch` on a server that runs, as processes. */
import { beforeAll, expect, test } from "vitest";
import { startDevDb } from "../../src/index.ts";
import { runCli } from "../support/cli-process.ts";
import { query } from "../support/query.ts";

let url = "";
beforeAll(async () => {
  const db = await startDevDb({ port: 0, migrations: "none", password: "a secret" });
  url = db.url;
  await query(url, "create table t as select 1 as n");
  return () => db.close();
});

const branch = (args: readonly string[], environment: Record<string, string> = { DATABASE_URL: url }) =>
  runCli(["branch", ...args], { environment });

test("a branch is made and its URL printed; once more it is the same one; it is listed, and dropped", async () => {
  const made = await branch(["w1"]);
  expect(made).toMatchObject({ code: 0, stderr: "", stdout: `${url}~w1\n` });
  await query(made.stdout.trim(), "insert into t values (2)");
  expect((await branch(["w1", "--url", url], {})).stdout).toBe(made.stdout);
  expect(await query(made.stdout.trim(), "select n from t order by n")).toEqual([1, 2]);
  expect(await query(url, "select n from t")).toEqual([1]);
  const unnamed = await branch([]);
  expect(await query(unnamed.stdout.trim(), "select n from t")).toEqual([1]);
  expect((await branch(["ls"])).stdout).toBe(made.stdout + unnamed.stdout);
  expect(await branch(["rm", "w1"])).toMatchObject({ code: 0, stdout: "", stderr: "" });
  expect((await branch(["ls"])).stdout).toBe(unnamed.stdout);
  expect(await branch(["rm", "w1"])).toMatchObject({
    code: 1,
    stderr: 'pglite-devdb: branch: database "postgres~w1" does not exist\n',
  });
});

test("what cannot be is a sentence", { tags: "long" }, async () => {
  expect(await branch(["a b"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(`"a b" cannot be a branch's name`),
  });
  expect(await branch(["rm"])).toMatchObject({ code: 2, stderr: expect.stringContaining("name the branch to drop") });
  expect(await branch(["ls", "x"])).toMatchObject({ code: 2, stderr: expect.stringContaining("an argument too many") });
  expect(await branch(["--url", "nowhere"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("postgresql://USER"),
  });
  const wrong = await branch(["w2"], { DATABASE_URL: url.replace("a%20secret", "wrong") });
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining("password authentication failed") });
  const nobody = await branch(["w2"], { DATABASE_URL: "postgresql://postgres@127.0.0.1:1/postgres" });
  expect(nobody).toMatchObject({ code: 2, stderr: expect.stringContaining("could not connect to 127.0.0.1:1") });
  const app = await branch(["w2"], { DATABASE_URL: url.replace(/postgres$/, "app") });
  expect(app).toMatchObject({ code: 1, stderr: expect.stringContaining('database "app~w2" does not exist') });
});

test("a URL without a database is that of its user's, as for any client", async () => {
  await query(url, "create role app superuser login password 'a secret'");
  await query(url, "create database app");
  const ofApp = url.replace("//postgres:", "//app:").replace(/\/postgres$/, "");
  expect(await branch(["w3", "--url", ofApp], {})).toMatchObject({ code: 0, stdout: `${ofApp}/app~w3\n` });
  expect(await branch(["rm", "w3", "--url", ofApp], {})).toMatchObject({ code: 0, stderr: "" });
});
