/** `--per-git-branch`, with a real git: each branch of a checkout has its data. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { runCli, temporaryDirectory } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";
import { query } from "../support/query.ts";

beforeAll(initializeTemplate);

interface Checkout {
  readonly cwd: string;
  readonly git: (...args: string[]) => string;
}

function checkout(): Checkout {
  const cwd = temporaryDirectory();
  const git = gitIn(cwd);
  git("init", "-q", "-b", "main");
  git("commit", "-q", "--allow-empty", "-m", "first");
  return { cwd, git };
}

function gitIn(cwd: string): Checkout["git"] {
  const settings = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
  return (...args) => execFileSync("git", ["-C", cwd, ...settings, ...args], { encoding: "utf8", stdio: "pipe" });
}

const log: string[] = [];
const start = (cwd: string, db: string, options = {}): Promise<DevDb> =>
  startDevDb({ cwd, db, port: 0, perGitBranch: true, log: (_, line) => void log.push(line), ...options });
const names = (url: string) =>
  query(url, "select datname from pg_database where datname !~ '^template' order by datname");

test("a switch gives the data of that branch, a new one begins with main's, a deleted one's goes at the next start", async () => {
  const { cwd, git } = checkout();
  const db = initializedDirectory();
  {
    await using server = await start(cwd, db, { migrations: "none" });
    const sql = (text: string) => query(server.url, text);
    await sql("create table t as select 1 as n");
    git("switch", "-q", "-c", "feature/x-1");
    expect(await sql("select n from t")).toEqual([1]);
    await sql("insert into t values (2)");
    git("switch", "-q", "main");
    expect(await sql("select n from t")).toEqual([1]);
    git("switch", "-q", "-c", "feature-x-1");
    await sql("insert into t values (3)");
    git("switch", "-q", "feature/x-1");
    expect(await sql("select n from t order by n")).toEqual([1, 2]);
    // While nothing is checked out, in a rebase, it stays what it was.
    git("switch", "-q", "--detach");
    expect(await sql("select n from t order by n")).toEqual([1, 2]);
    expect(await names(server.url)).toEqual([
      "postgres",
      "postgres~feature-x-1",
      expect.stringMatching(/^postgres~feature-x-1\.[0-9a-f]{6}$/),
    ]);
    // Another one of the server's is not touched by any of this.
    await query(`${server.url}`, "create database other");
    expect(await query(server.url.replace(/postgres$/, "other"), "select current_database()")).toEqual(["other"]);
  }
  git("switch", "-q", "feature-x-1");
  git("branch", "-q", "-D", "feature/x-1");
  await using server = await start(cwd, db, { migrations: "none" });
  expect(await names(server.url)).toEqual(["other", "postgres", "postgres~feature-x-1"]);
  expect(log).toContainEqual(expect.stringMatching(/^database postgres~feature-x-1\.\w+ is dropped: .* feature\/x-1 /));
  expect(await query(server.url, "select n from t order by n")).toEqual([1, 3]);
});

test("a start migrates the database of what is checked out; a worktree has its own branch", async () => {
  const { cwd, git } = checkout();
  const db = initializedDirectory();
  await (await start(cwd, db, { migrations: "none" })).close();
  git("switch", "-q", "-c", "next");
  mkdirSync(join(cwd, "migrations"));
  writeFileSync(join(cwd, "migrations/1_a.sql"), "create table of_next ()");
  {
    await using server = await start(cwd, db);
    expect(server.migrationsApplied).toEqual(["1_a.sql"]);
    expect(await query(server.url, "select to_regclass('of_next')::text")).toEqual(["of_next"]);
    await using branch = await server.branch("w1");
    expect(await query(branch.url, "select to_regclass('of_next')::text")).toEqual(["of_next"]);
    git("switch", "-q", "main");
    expect(await query(server.url, "select to_regclass('of_next')::text")).toEqual([null]);
  }
  const tree = join(temporaryDirectory(), "tree");
  git("worktree", "add", "-q", tree, "next");
  await using server = await start(tree, db);
  expect(await query(server.url, "select to_regclass('of_next')::text")).toEqual(["of_next"]);
  expect(await query(server.url, "select current_database()")).toEqual(["postgres~next"]);
});

test("what is of another repository is not collected", { tags: "long" }, async () => {
  const [one, other] = [checkout(), checkout()];
  const db = initializedDirectory();
  one.git("switch", "-q", "-c", "mine");
  await (await start(one.cwd, db, { migrations: "none" })).close();
  await using server = await start(other.cwd, db, { migrations: "none" });
  expect(await names(server.url)).toEqual(["postgres", "postgres~mine"]);
});

test("the main branch has any name, as long as it is known which it is", async () => {
  const { cwd, git } = checkout();
  git("branch", "-q", "-m", "trunk");
  git("branch", "-q", "other");
  const db = initializedDirectory();
  const refused = start(cwd, db, { migrations: "none" });
  await expect(refused).rejects.toThrow("which of the 2 branches is the main one?");
  git("config", "init.defaultBranch", "trunk");
  git("switch", "-q", "other");
  await using server = await start(cwd, db, { migrations: "none" });
  expect(await names(server.url)).toEqual(["postgres", "postgres~other"]);
});

test("what cannot be is a sentence", async () => {
  const { cwd } = checkout();
  const refused = (options: object) => start(cwd, "data", { migrations: "none", ...options }).then(String, String);
  expect(await refused({ cwd: temporaryDirectory() })).toMatch(/^UsageError: perGitBranch .* is not in a git checkout/);
  expect(await refused({ db: "memory://" })).toMatch(/^UsageError: perGitBranch .*needs a directory/);
  expect(await refused({ sessions: "shared" })).toMatch(/^UsageError: perGitBranch .*needs isolated sessions/);
  expect(await refused({ resets: "on" })).toMatch(/^UsageError: perGitBranch .*does not go with resets/);
  expect(await refused({ branchTtlMs: 1000 })).toMatch(/^UsageError: perGitBranch .*does not go with branchTtlMs/);
  const ended = await runCli(["run", "--port", "0", "--per-git-branch", "--", "true"], { cwd });
  expect(ended).toMatchObject({ code: 2, stderr: expect.stringContaining("--per-git-branch: needs a directory") });
});
