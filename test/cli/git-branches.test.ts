/** `--per-git-branch`, with a real git: each branch of a checkout has its data. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { checkedOut, databaseOfGitBranch } from "../../src/engine/git-branch.ts";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { runCli, temporaryDirectory } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";
import { lastEngineThread } from "../support/engine-thread.ts";
import { connect, query } from "../support/query.ts";

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
beforeEach(() => void log.splice(0));
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

test("a database to whose name no branch can be added is refused before anything is opened", async () => {
  const { cwd } = checkout();
  const [longest, database] = ["d".repeat(54), "d".repeat(55)];
  const refused = `the name of the database ${database} has 55 bytes, too many to add the name of a git branch: at most 54 bytes`;
  await expect(start(cwd, initializedDirectory(), { database, migrations: "none" })).rejects.toThrow(refused);
  const of = { database: longest, main: "main" };
  for (const branch of ["a", "feature/x", "1".repeat(40)])
    expect(Buffer.byteLength(databaseOfGitBranch(of, branch))).toBeLessThanOrEqual(63);
});

test("a start migrates the database of what is checked out; a worktree has its own branch", {
  tags: "long",
}, async () => {
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

test("the main branch has any name, as long as it is known which it is", { tags: "long" }, async () => {
  const { cwd, git } = checkout();
  git("branch", "-q", "-m", "trunk");
  git("branch", "-q", "other");
  const db = initializedDirectory();
  const refused = start(cwd, db, { migrations: "none" });
  await expect(refused).rejects.toThrow(/\b2 branches\b/);
  git("config", "init.defaultBranch", "trunk");
  git("switch", "-q", "other");
  await using server = await start(cwd, db, { migrations: "none" });
  expect(await names(server.url)).toEqual(["postgres", "postgres~other"]);
});

test("no database is dropped while git may not see a branch; one that cannot be dropped stays", {
  tags: "long",
}, async () => {
  const { cwd, git } = checkout();
  const db = initializedDirectory();
  const made = ["postgres", "postgres~empty", "postgres~lost", "postgres~prepared", "postgres~template"];
  {
    await using server = await start(cwd, db, { migrations: "none" });
    for (const branch of ["empty", "lost", "prepared", "template"]) {
      git("switch", "-q", "-c", branch);
      await query(server.url, "create table t ()");
    }
    await query(server.url, 'alter database "postgres~template" is_template true');
    git("switch", "-q", "prepared");
    const client = await connect(server.url);
    await client.query("begin; create table u (); prepare transaction 'p'");
    expect(await names(server.url)).toEqual(made);
  }
  git("switch", "-q", "main");
  const kept = async () => {
    await using server = await start(cwd, db, { migrations: "none" });
    return await names(server.url);
  };
  // A file that a power cut has left empty: git warns, and ends with 0.
  writeFileSync(join(cwd, ".git/refs/heads/empty"), "");
  expect(await kept()).toEqual(made);
  expect(log).toContainEqual(
    expect.stringMatching(/^warning: no git branch is taken to be gone, .* refs\/heads\/empty$/),
  );
  rmSync(join(cwd, ".git/refs/heads/empty"));
  git("update-ref", "refs/heads/empty", "HEAD");
  // All references in a file that is damaged, and then none of them.
  git("pack-refs", "--all");
  const packed = join(cwd, ".git/packed-refs");
  const references = readFileSync(packed);
  writeFileSync(packed, "garbage\0\n");
  await expect(kept()).rejects.toThrow(/^perGitBranch .*: git .* failed in .*packed-refs/);
  rmSync(packed);
  expect(await kept()).toEqual(made);
  // This one alone is there for git.
  writeFileSync(join(cwd, ".git/refs/heads/main"), `${String(references).match(/^(\w+) refs\/heads\/main$/m)?.[1]}\n`);
  expect(git("branch", "--format", "%(refname:short)")).toBe("main\n");
  expect(await kept()).toEqual(made);
  writeFileSync(packed, references);
  git("branch", "-q", "-D", "empty", "prepared", "template");
  expect(await kept()).toEqual(["postgres", "postgres~lost", "postgres~prepared", "postgres~template"]);
  expect(log).toContainEqual(expect.stringMatching(/^warning: .* database postgres~prepared stays: .*prepared trans/));
  expect(log).toContainEqual(
    expect.stringMatching(/^warning: .* database postgres~template stays: .*template database/),
  );
});

test("a rebase and a bisection are of the branch that they began with", { tags: "long" }, () => {
  const { cwd, git } = checkout();
  const head = join(cwd, ".git/HEAD");
  const commit = (text: string) => {
    writeFileSync(join(cwd, "file"), text);
    git("add", "file");
    git("commit", "-q", "-m", text);
  };
  git("switch", "-q", "-c", "feature/x");
  commit("one");
  git("switch", "-q", "main");
  commit("other");
  for (const how of ["--merge", "--apply"]) {
    expect(() => git("rebase", how, "main", "feature/x")).toThrow(/conflict|failed to merge/i);
    expect(git("rev-parse", "--abbrev-ref", "HEAD")).toBe("HEAD\n");
    expect(checkedOut(head)).toBe("feature/x");
    git("rebase", "--abort");
  }
  git("switch", "-q", "main");
  commit("third");
  commit("fourth");
  git("bisect", "start", "main", "main~3");
  expect(checkedOut(head)).toBe("main");
  git("bisect", "reset");
  git("switch", "-q", "--detach");
  expect(checkedOut(head)).toBe(undefined);
  git("bisect", "start", "HEAD", "HEAD~3");
  expect(checkedOut(head)).toBe(undefined);
});

test("a start while nothing is checked out is about the branch of the rebase, or is none", {
  tags: "long",
}, async () => {
  const { cwd, git } = checkout();
  const db = initializedDirectory();
  git("switch", "-q", "-c", "feature");
  git("commit", "-q", "--allow-empty", "-m", "second");
  // A tag that is called like a branch is none.
  git("tag", "feature");
  expect(() => git("rebase", "-x", "false", "--no-ff", "main")).toThrow();
  {
    await using server = await start(cwd, db, { migrations: "none" });
    const current = () => query(server.url, "select current_database()");
    expect(await current()).toEqual(["postgres~feature"]);
    git("rebase", "--abort");
    git("switch", "-q", "-c", "later");
    expect(await current()).toEqual(["postgres~later"]);
    // Also for the thread that follows one that has died.
    git("checkout", "-q", "--detach", "refs/tags/feature");
    await lastEngineThread().fail(new Error("a test's crash"));
    expect(await current()).toEqual(["postgres~later"]);
  }
  await expect(start(cwd, db, { migrations: "none" })).rejects.toThrow(
    /\bHEAD\b.*\bfeature\b.*\bgit switch\b.*\bperGitBranch\b/,
  );
});

test("the main branch stays the one that it was at the first start, and its heir has its data when it is gone", {
  tags: "long",
}, async () => {
  const { cwd, git } = checkout();
  const db = join(cwd, "db");
  renameSync(initializedDirectory(), db);
  const current = ({ url }: DevDb) => query(url, "select current_database()");
  const startAndAsk = async () => {
    await using server = await start(cwd, db, { migrations: "none" });
    return await current(server);
  };
  git("switch", "-q", "-c", "develop");
  expect(await startAndAsk()).toEqual(["postgres~develop"]);
  git("update-ref", "refs/remotes/origin/develop", "HEAD");
  git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/develop");
  expect(await startAndAsk()).toEqual(["postgres~develop"]);
  expect(log).toContainEqual(expect.stringMatching(/^main git branch: main, .* and not develop$/));
  // What git says is the main branch has data of its own.
  git("branch", "-q", "-m", "main", "trunk");
  expect(await startAndAsk()).toEqual(["postgres~develop"]);
  expect(log).toContainEqual(
    expect.stringMatching(/^warning: the git branch main is gone, and develop has .* drop postgres~develop/),
  );
  git("symbolic-ref", "--delete", "refs/remotes/origin/HEAD");
  git("config", "init.defaultBranch", "trunk");
  git("switch", "-q", "trunk");
  {
    // What is checked out may change while a server starts.
    const switching = (_: string, line: string) => {
      log.push(line);
      if (line.startsWith("lock the data directory")) git("switch", "-q", "-c", "late");
    };
    await using server = await start(cwd, db, { migrations: "none", log: switching });
    expect(log.join("\n")).toMatch(/\bmain\b.*\bpostgres\b.*\btrunk\b/);
    expect(log.join("\n")).toMatch(/\blate\b.* postgres~late\b/);
    expect(log.join("\n")).not.toContain("git branch trunk has");
    git("switch", "-q", "trunk");
    expect(await current(server)).toEqual(["postgres"]);
  }
  // That is written down, also for a project that is moved with its data, and main is another branch now.
  git("branch", "-q", "main");
  const moved = join(temporaryDirectory(), "moved");
  renameSync(cwd, moved);
  await using server = await start(moved, join(moved, "db"), { migrations: "none" });
  expect(await current(server)).toEqual(["postgres"]);
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
