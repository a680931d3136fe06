/**
 * The lock on a data directory: one owner at a time.
 *
 * Owns: `pglite-devdb.lock` in the directory. Does not own: what the owner does there, or the files of PostgreSQL.
 * Invariant: of all that try at once exactly one gets it; it goes to another one only when its owner is certainly dead.
 *
 * The lock is a directory, and in it files whose names no other owner uses. It is taken by renaming a complete one of one's
 * own to its name, which fails if there is one with a file in it. A dead owner's files are removed by their names, and that
 * cannot hit the lock of somebody who was faster; so nobody needs a lock to take over a lock.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { DataDirectoryError } from "../../errors.ts";
import {
  judgeLiveness,
  type Liveness,
  ownIdentity,
  type ProcessIdentity,
  pidExists,
  sharesKernel,
} from "../../system/process-identity.ts";
import { type HeldDirectory, holdDirectory, letGo, OwnedDirectory } from "./directory-ownership.ts";
import { askLivenessSocket, type LivenessSocket, openLivenessSocket } from "./liveness-socket.ts";

/** The name of the lock in the data directory; while it is being taken, names that begin like this are there too. */
export const lockName = "pglite-devdb.lock";

/** More rounds than owners can change while one process looks on. */
const mostRounds = 100;

/** A lock that is held. */
export interface DirectoryLock {
  /** The directory that was locked; it may cease to be this server's own at any time. */
  readonly directory: OwnedDirectory;
  /** Lets the next one have it, and lets go of the directory. Idempotent. */
  release(): Promise<void>;
}

/**
 * Takes the lock on an existing directory. Rejects with a `DataDirectoryError` that names the process if somebody has it:
 * another process, this one, or a postmaster of PostgreSQL. A process that ends without `release`, also by
 * `process.exit`, leaves the lock for the next one to take over: its threads may still be writing at that moment.
 *
 * Containers that share a directory and a kernel see each other's owners. An owner on another machine, or one in a container on a
 * file system without sockets, cannot be seen; such a lock is respected until somebody deletes it.
 */
export async function lockDirectory(path: string): Promise<DirectoryLock> {
  const self = await ownIdentity();
  try {
    return await settle(...(await take(path, self)));
  } catch (error) {
    if (error instanceof DataDirectoryError || error instanceof assert.AssertionError) throw error;
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new DataDirectoryError(`${path} cannot be locked (${reason})`, { cause: error });
  }
}

/** What an attempt leaves to be held: the name of the owner's record, and how to let the next one have the lock. */
interface TakenLock {
  readonly record: string;
  release(): Promise<void>;
}

async function take(path: string, self: ProcessIdentity): Promise<[HeldDirectory, TakenLock]> {
  const held = holdDirectory(path);
  try {
    for (let round = 0; round < mostRounds; round++) {
      const lock = await tryToTake(held, self);
      if (lock) return [held, lock];
      await clearUnlessHeld(held, self);
    }
    throw new DataDirectoryError(`${path} cannot be locked: it changes hands too often`);
  } catch (error) {
    letGo(held);
    throw error;
  }
}

/** What is left to do for the one that has the lock; it has it no more if that fails. */
async function settle(held: HeldDirectory, lock: TakenLock): Promise<DirectoryLock> {
  let directory: OwnedDirectory | undefined;
  let releasing: Promise<void> | undefined;
  const release = () => {
    releasing ??= lock.release().finally(() => (directory ? directory.close() : letGo(held)));
    return releasing;
  };
  try {
    removeAttempts(held.place);
    refusePostmaster(held);
    directory = new OwnedDirectory(held, join(lockName, lock.record));
    const lost = directory.check();
    if (lost) throw lost;
    assertSole(held.place, lock.record);
    return { directory, release };
  } catch (error) {
    await release();
    throw error;
  }
}

/** One attempt: undefined if the lock has, or had, an owner. */
async function tryToTake({ place }: HeldDirectory, self: ProcessIdentity): Promise<TakenLock | undefined> {
  const name = randomUUID();
  const attempt = join(place, `${lockName}.${name}`);
  const files = [`${name}.json`, `${name}.socket`];
  let socket: LivenessSocket | undefined;
  mkdirSync(attempt);
  try {
    writeFileSync(join(attempt, files[0]!), JSON.stringify(self));
    socket = await openLivenessSocket(attempt, files[1]!);
    // On some systems a directory cannot be renamed to the name of another one, even if that is empty.
    quietly(() => rmdirSync(join(place, lockName)));
    renameSync(attempt, join(place, lockName));
  } catch (error) {
    await socket?.close();
    removeAttempt(attempt);
    // ENOENT: an owner has removed the attempt. EPERM, EACCES: how Windows says that the lock exists.
    const taken = ["ENOTEMPTY", "EEXIST", "ENOENT", ...(process.platform === "win32" ? ["EPERM", "EACCES"] : [])];
    if (taken.includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
  return {
    record: files[0]!,
    release: async () => {
      removeLock(place, files);
      await socket?.close();
    },
  };
}

/** Throws if the lock has a living owner; removes what a dead one left. */
async function clearUnlessHeld({ path, place }: HeldDirectory, self: ProcessIdentity): Promise<void> {
  const files = ownerFiles(place);
  const record = files.find((file) => file.endsWith(".json"));
  const owner = record && readOwner(join(place, lockName, record));
  if (owner) {
    const liveness = await judgeOwner(place, record, owner, self);
    if (liveness !== "dead") throw new DataDirectoryError(describeOwner(path, owner, self, liveness));
  }
  removeLock(place, files);
}

/** The pid says the most; the socket may know better where the pid cannot be seen, or its last threads still run. */
async function judgeOwner(
  path: string,
  record: string,
  owner: ProcessIdentity,
  self: ProcessIdentity,
): Promise<Liveness> {
  const byPid = await judgeLiveness(owner, self);
  if (byPid === "alive" || !sharesKernel(owner, self)) return byPid;
  const bySocket = await askLivenessSocket(join(path, lockName), record.replace(/json$/, "socket"));
  return bySocket === "unknown" ? byPid : bySocket;
}

function describeOwner(path: string, owner: ProcessIdentity, self: ProcessIdentity, liveness: Liveness): string {
  if (liveness === "unseen") {
    return `${path} is locked by process ${owner.pid} on ${owner.host}, which cannot be seen from here; if it is gone, delete ${join(path, lockName)}`;
  }
  if (owner.pid === self.pid && owner.pidNamespace === self.pidNamespace) {
    return `${path} is open in this process (${owner.pid}) already; close that database first, or name another directory`;
  }
  const where = owner.pidNamespace === self.pidNamespace ? "" : ` of the container ${owner.host}`;
  return `${path} is in use by process ${owner.pid}${where}; stop that, or name another directory`;
}

/** Undefined for a lock that is gone by now, and for one that a power cut left without its content. */
function readOwner(path: string): ProcessIdentity | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const owner = JSON.parse(text) as ProcessIdentity;
    return typeof owner?.pid === "number" ? owner : undefined;
  } catch {
    return undefined;
  }
}

function ownerFiles(path: string): string[] {
  try {
    return readdirSync(join(path, lockName));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function removeLock(path: string, files: readonly string[]): void {
  assert(
    files.every((file) => file !== "" && file === basename(file)),
    "only an owner's own files are removed, by their names in the lock",
  );
  const lock = join(path, lockName);
  for (const file of files) quietly(() => unlinkSync(join(lock, file)));
  quietly(() => rmdirSync(lock));
}

/** A lock with the files of two owners would be nobody's. */
function assertSole(path: string, record: string): void {
  const records = ownerFiles(path).filter((file) => file.endsWith(".json"));
  assert.deepEqual(records, [record], "the lock that was taken has one owner, this server");
}

/** For the owner only: whoever is still trying has lost, and finds that out when its attempt is gone. */
function removeAttempts(path: string): void {
  for (const name of readdirSync(path)) {
    if (name.startsWith(`${lockName}.`)) removeAttempt(join(path, name));
  }
}

/** Its process may be adding a file at this moment; then it removes the attempt itself. */
function removeAttempt(attempt: string): void {
  quietly(() => rmSync(attempt, { recursive: true, force: true }));
}

/**
 * A postmaster writes its pid into the first line of postmaster.pid (PostgreSQL: src/backend/utils/init/miscinit.c,
 * CreateLockFile). Engine: PGlite, which runs in single-user mode, writes -42 there; that says nothing.
 */
function refusePostmaster({ path, place }: HeldDirectory): void {
  const file = join(path, "postmaster.pid");
  let pid = 0;
  quietly(() => {
    pid = Number.parseInt(readFileSync(join(place, "postmaster.pid"), "utf8"), 10);
  });
  if (!(pid > 0) || pid === process.pid || !pidExists(pid)) return;
  throw new DataDirectoryError(
    `${path} is in use by a PostgreSQL server, process ${pid}; stop that, or delete ${file} if ${pid} is another program`,
  );
}

/** For files that somebody else may have removed already. */
function quietly(run: () => void): void {
  try {
    run();
  } catch (error) {
    if (!["ENOENT", "ENOTEMPTY", "EEXIST", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}
