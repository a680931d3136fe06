/** The lock on a data directory: one owner, however many try, and a dead owner's lock is nobody's. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { lockDirectory, lockName } from "../../src/engine/data-directory/directory-lock.ts";
import { openLivenessSocket } from "../../src/engine/data-directory/liveness-socket.ts";
import { DataDirectoryError } from "../../src/errors.ts";
import { ownIdentity, type ProcessIdentity } from "../../src/system/process-identity.ts";
import { runCli, startCli } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";
import { race, startLockRacer } from "../support/lock-racers.ts";

let path: string;
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), "directory-lock-"));
  return () => rmSync(path, { recursive: true, force: true });
});

/** A lock as an owner with this identity would have made it. */
async function leaveLock(owner: Partial<ProcessIdentity>): Promise<void> {
  mkdirSync(join(path, lockName));
  writeFileSync(join(path, lockName, "x.json"), JSON.stringify({ ...(await ownIdentity()), ...owner }));
}

async function refusal(): Promise<string> {
  const before = readdirSync(path, { recursive: true }).sort();
  const error = await lockDirectory(path).then(
    () => new Error("it was not refused"),
    (reason: Error) => reason,
  );
  expect(error).toBeInstanceOf(DataDirectoryError);
  expect(readdirSync(path, { recursive: true }).sort()).toEqual(before);
  return error.message;
}

async function expectFree(): Promise<void> {
  await (await lockDirectory(path)).release();
  expect(readdirSync(path)).toEqual([]);
}

test("of several processes that try at once exactly one gets it, and the others name that one", async () => {
  const racers = await Promise.all([1, 2, 3, 4, 5].map(startLockRacer));
  for (let round = 0; round < 40; round++) {
    const winner = await race(racers, path);
    expect(readdirSync(path)).toEqual([lockName]);
    await winner.release();
    expect(readdirSync(path)).toEqual([]);
  }
});

test("a dead owner's lock is taken over by exactly one of several that try at once", async () => {
  const dead = await startLockRacer();
  await dead.take(path);
  const [record] = readdirSync(join(path, lockName)).filter((file) => file.endsWith(".json"));
  const owner = JSON.parse(readFileSync(join(path, lockName, record!), "utf8"));
  await dead.kill();
  const racers = await Promise.all([1, 2, 3, 4, 5].map(startLockRacer));
  for (let round = 0; round < 40; round++) {
    if (round > 0) await leaveLock(owner);
    const winner = await race(racers, path);
    expect(readdirSync(path)).toEqual([lockName]);
    await winner.release();
    expect(readdirSync(path)).toEqual([]);
  }
});

test("an owner that is stopped, and silent, keeps it", async () => {
  const owner = await startLockRacer();
  await owner.take(path);
  owner.child.kill("SIGSTOP");
  expect(await refusal()).toContain(`process ${owner.pid}`);
  await owner.kill();
  await expectFree();
});

test("one process cannot have it twice, and releasing is idempotent", async () => {
  const lock = await lockDirectory(path);
  expect(await refusal()).toContain("is open in this process");
  await lock.release();
  const next = await lockDirectory(path);
  await lock.release();
  expect(await refusal()).toContain("is open in this process");
  await next.release();
});

test("a pid that another process has now, and a boot before this one, are dead owners", async () => {
  await leaveLock({ startedAt: "1" });
  await expectFree();
  await leaveLock({ boot: "an earlier one" });
  await expectFree();
});

test("a lock whose content a power cut has taken, and half a lock, are nobody's", async () => {
  mkdirSync(join(path, lockName));
  await expectFree();
  mkdirSync(join(path, lockName));
  writeFileSync(join(path, lockName, "x.json"), "");
  await expectFree();
  mkdirSync(join(path, lockName));
  mkdirSync(join(path, `${lockName}.attempt`));
  writeFileSync(join(path, lockName, "x.socket"), "");
  await expectFree();
});

test("an owner on another machine cannot be seen: its lock stays until somebody deletes it", async () => {
  await leaveLock({ host: "elsewhere", boot: "another", pid: 77 });
  expect(await refusal()).toBe(
    `${path} is locked by process 77 on elsewhere, which cannot be seen from here; if it is gone, delete ${join(path, lockName)}`,
  );
});

test.runIf(process.platform === "linux")("an owner in another container is known by its socket", async () => {
  const container = { host: "box", pidNamespace: "pid:[1]", pid: 7 };
  await leaveLock(container);
  expect(await refusal()).toContain("cannot be seen from here");
  const socket = await openLivenessSocket(join(path, lockName), "x.socket");
  expect(await refusal()).toMatch(/process 7\b.*container box\b/);
  // A socket file whose owner is gone: what kill -9 leaves.
  await socket!.close();
  const racer = await startLockRacer();
  const other = mkdtempSync(join(tmpdir(), "directory-lock-"));
  onTestFinished(() => rmSync(other, { recursive: true, force: true }));
  await racer.take(other);
  await racer.kill();
  const [record] = readdirSync(join(other, lockName)).filter((file) => file.endsWith(".json"));
  const left = JSON.parse(readFileSync(join(other, lockName, record!), "utf8"));
  writeFileSync(join(other, lockName, record!), JSON.stringify({ ...left, ...container }));
  expect(readdirSync(join(other, lockName))).toHaveLength(2);
  await (await lockDirectory(other)).release();
});

test("a postmaster of PostgreSQL is respected while it lives; what PGlite writes there says nothing", async () => {
  const postmaster = await startLockRacer();
  const file = join(path, "postmaster.pid");
  writeFileSync(file, `${postmaster.pid}\n${path}\n1795239832\n5432\n\n\n       20         1\n`);
  expect(await refusal()).toMatch(new RegExp(`PostgreSQL.*process ${postmaster.pid}\\b`));
  await postmaster.kill();
  await (await lockDirectory(path)).release();
  writeFileSync(file, "-42\n/pglite/data\n1795239832\n5432\n\n\n       20         1\n");
  await (await lockDirectory(path)).release();
});

test("the command line: a second server exits with 5 and names the first; after kill -9 of that it starts", async () => {
  await initializeTemplate();
  const db = initializedDirectory();
  const first = startCli(["--port", "0", "--db", db]);
  await first.line(/is ready/);
  const second = await runCli(["--port", "0", "--db", db]);
  expect(second).toMatchObject({ code: 5, stdout: "" });
  expect(second.stderr).toContain(`${db} is in use by process ${first.pid};`);
  first.child.kill("SIGKILL");
  await first.ended;
  const third = startCli(["--port", "0", "--db", db]);
  await third.line(/is ready/);
  third.child.kill("SIGTERM");
  expect((await third.ended).code).toBe(143);
  expect(readdirSync(db)).not.toContain(lockName);
});
