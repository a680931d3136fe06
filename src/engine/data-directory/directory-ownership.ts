/**
 * Whether a locked data directory is still this server's own, whatever has become of its path.
 *
 * Owns: the identity (device and inode) of the directory and of the lock's record, held open so that no other file can get
 * the same; comparing it with what the path leads to. Does not own: the lock (`directory-lock.ts`), what follows a loss.
 * Invariant: a directory that was lost once is never this server's again; while it is held, `place` leads to the directory
 * that was locked, never to one that has come to its path since.
 *
 * PostgreSQL works relative to its directory and looks at postmaster.pid once a minute. Here the files are opened by
 * absolute paths: on Linux below a descriptor of the directory, elsewhere (no /proc) below its path, where only the
 * comparison before each change keeps this server out of another one's files.
 */
import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { DataDirectoryError } from "../../errors.ts";

/** How often the path is compared while nothing is asked, in ms. */
const intervalMs = 1000;

interface FileIdentity {
  readonly device: bigint;
  readonly inode: bigint;
}

/** What tells a directory that was locked from all others; for the thread that works in it. */
export interface DirectoryIdentity extends FileIdentity {
  /** As it is told to people. */
  readonly path: string;
  /** Where its files are to be opened: it leads to the directory itself where the system has such a thing. */
  readonly place: string;
  /** The owner's file in the lock; the name relative to the directory. */
  readonly record: FileIdentity & { readonly name: string };
}

/** A directory that is held open. */
export interface HeldDirectory {
  readonly path: string;
  readonly place: string;
  /** Absent where directories cannot be opened. */
  readonly descriptor: number | undefined;
}

/** Opens an existing directory, so that it can be told from whatever comes to its path. */
export function holdDirectory(path: string): HeldDirectory {
  const descriptor = openIfPossible(path);
  const inode = descriptor === undefined ? undefined : `/proc/self/fd/${descriptor}`;
  const hasPlace = inode !== undefined && isSame(identityOf(`${inode}/.`), identityOf(path));
  return { path, place: hasPlace ? inode : path, descriptor };
}

/** The counterpart of `holdDirectory`. From now on `place` may lead anywhere. */
export function letGo({ descriptor }: HeldDirectory): void {
  if (descriptor !== undefined) closeSync(descriptor);
}

/** A locked directory and what has become of it; see the head of the file. */
export class OwnedDirectory {
  readonly identity: DirectoryIdentity;
  readonly #held: HeldDirectory;
  readonly #record: number | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #listeners = new Set<(lost: DataDirectoryError) => void>();
  #lost: DataDirectoryError | undefined;
  #isClosed = false;

  /** Takes over `held`; `record` is the name of the owner's file in it. Throws when the path leads elsewhere already. */
  constructor(held: HeldDirectory, record: string) {
    const { path, place } = held;
    const directory = identityOf(`${place}/.`);
    const own = identityOf(join(place, record));
    if (!directory || !own) throw new DataDirectoryError(`${path} cannot be locked: it has been removed meanwhile`);
    this.#held = held;
    this.#record = openIfPossible(join(place, record));
    this.identity = { path, place, ...directory, record: { name: record, ...own } };
    // The caller's program may end while it is waited for.
    this.#timer = setInterval(() => this.check(), intervalMs).unref();
  }

  /** Looks whether it is this server's still. The answer is the error to end with; once there is one it stays. */
  check(): DataDirectoryError | undefined {
    assert(!this.#isClosed, "a data directory that was let go of is not asked for any more");
    if (this.#lost) return this.#lost;
    const what = whatHappened(this.identity);
    if (what === undefined) return undefined;
    this.#lost = lossOf(this.identity, what);
    clearInterval(this.#timer);
    for (const listener of this.#listeners) listener(this.#lost);
    return this.#lost;
  }

  /** Calls `listener` once, when it is lost, in the order in which listeners came. Returns how to stop that. */
  onLost(listener: (lost: DataDirectoryError) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Lets go of it. Nobody may use `place` any more. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#listeners.clear();
    if (this.#record !== undefined) closeSync(this.#record);
    letGo(this.#held);
  }
}

/**
 * For the thread that works in the directory: a function that throws a `DataDirectoryError` when the directory is lost. It
 * looks if it has not looked for `everyMs`.
 */
export function ownershipGuard(identity: DirectoryIdentity): (everyMs: number) => void {
  let lookedAt = Number.NEGATIVE_INFINITY;
  let lost: DataDirectoryError | undefined;
  return (everyMs) => {
    if (lost) throw lost;
    const now = performance.now();
    if (now - lookedAt < everyMs) return;
    const what = whatHappened(identity);
    lookedAt = now;
    if (what === undefined) return;
    lost = lossOf(identity, what);
    throw lost;
  };
}

function lossOf({ path }: DirectoryIdentity, what: string): DataDirectoryError {
  return new DataDirectoryError(
    `${path} is not this server's data directory any more: ${what}; this server ends at once, without a checkpoint`,
  );
}

/**
 * What has become of it, as a part of a sentence; undefined if it is as it was. An error of the system that says nothing
 * about it (EACCES, EIO) is no loss: PostgreSQL meets it, too.
 */
function whatHappened(identity: DirectoryIdentity): string | undefined {
  try {
    return compare(identity);
  } catch {
    return undefined;
  }
}

function compare(identity: DirectoryIdentity): string | undefined {
  const { path, record } = identity;
  const found = identityOf(path);
  if (!isSame(found, identity)) {
    const away = whereItIs(identity);
    return found ? `${away}, and another one is in its place${ownerIn(identity)}` : away;
  }
  if (isSame(identityOf(join(path, record.name)), record)) return undefined;
  const owner = ownerIn(identity);
  return owner === "" ? "its lock has been removed" : `its lock has been removed and taken by another server${owner}`;
}

function whereItIs(identity: DirectoryIdentity): string {
  try {
    const now = readlinkSync(identity.place);
    if (now.endsWith(" (deleted)")) return "it has been removed";
    if (isSame(identityOf(now), identity)) return `it has been moved to ${now}`;
  } catch {
    // There is no /proc, then.
  }
  return "it has been moved, removed or unmounted";
}

/** Whoever has the lock of the directory that is at the path now. */
function ownerIn({ path, record: { name: own } }: DirectoryIdentity): string {
  try {
    const lock = join(path, dirname(own));
    const record = readdirSync(lock).find((name) => name.endsWith(".json"))!;
    const { pid } = JSON.parse(readFileSync(join(lock, record), "utf8")) as { readonly pid: number };
    return ` (process ${pid})`;
  } catch {
    return "";
  }
}

function isSame(found: FileIdentity | undefined, known: FileIdentity | undefined): boolean {
  return found?.device === known?.device && found?.inode === known?.inode;
}

/** Undefined for what is certainly not there. Throws the system's other errors: they say nothing about the directory. */
function identityOf(path: string): FileIdentity | undefined {
  try {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false });
    return found && { device: found.dev, inode: found.ino };
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP", "ESTALE"].includes((error as NodeJS.ErrnoException).code ?? ""))
      return undefined;
    throw error;
  }
}

function openIfPossible(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch {
    return undefined;
  }
}
