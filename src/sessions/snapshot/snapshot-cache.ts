/**
 * Whether a start can begin with a snapshot of an earlier one, and keeping one for the next.
 *
 * Owns: what a snapshot depends on (its key), its name. Does not own: the snapshot (`boot-snapshot.ts`), its file
 * (`snapshot-file.ts`), the moment of writing (`snapshot-keeper.ts`), the directory (`../../system/user-cache.ts`).
 * Only for a database in memory, of a binary that is known: what is in a directory is of another moment than a snapshot, and
 * an unknown binary has to boot to be tried out.
 * Invariant: a start that finds no snapshot, or one that is not whole, of something else, or does not run, boots as ever.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { basename, join } from "node:path";
import { resourceLimits } from "node:worker_threads";
import { PGlite } from "@electric-sql/pglite";
import { PackageFiles } from "../../cluster/package-files.ts";
import { pgliteFile } from "../../cluster/pglite-files.ts";
import { cacheDirectory, dropFromCache } from "../../system/user-cache.ts";
import { type BootedPostgres, type BootOptions, bootPostgres } from "../boot.ts";
import { SessionHost } from "../host.ts";
import type { RewrittenPostgres } from "../module/module-cache.ts";
import { type BootSnapshot, takeSnapshot } from "./boot-snapshot.ts";
import { restorePostgres } from "./restore.ts";
import { readSnapshot, writeSnapshot } from "./snapshot-file.ts";

/** Part of the file's name: to be raised with every change of its form. */
const snapshotVersion = 4;

/** Of SHA-256. */
const hashBytes = 32;

/** The environment that a C library, or JavaScript under it, looks at. */
const environment = ["TZ", "LANG", "LANGUAGE", "LC_ALL", "LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_TIME"];

/** What of PGlite a boot depends on, beside the module: what is in its file system, and its linker, whose files' names `index.js` has. */
const sources = ["pglite.data", "index.js"];

/** What the start of a database in memory is told. */
type Options = Omit<BootOptions, "dataDir" | "files" | "copying" | "postgres">;

/** See the head of the file. */
export class SnapshotCache {
  readonly path: string;
  /** What the file has to say that it is of. */
  readonly key: string;
  #taken: BootSnapshot | undefined;
  /** How long that took, in ms; writing it takes about twice as long. */
  tookMs = 0;

  private constructor(path: string, key: string) {
    this.path = path;
    this.key = key;
  }

  /** Undefined where a start must boot. `directory` is for tests. */
  static of(
    { known, hash }: RewrittenPostgres,
    options: Options,
    directory: string | undefined = cacheDirectory(),
  ): SnapshotCache | undefined {
    const hasExtensions = Object.keys(options.extensions ?? {}).length > 0;
    if (!known || !hash || !directory || hasExtensions) return undefined;
    const key = keyOf(hash, options);
    const name = `snapshot-${snapshotVersion}-${createHash("sha256").update(key).digest().toString("hex", 0, 16)}`;
    return new SnapshotCache(join(directory, name), key);
  }

  /** A host that began with the snapshot; undefined if there is none that can be used. */
  async restore(postgres: RewrittenPostgres, maxSessions: number): Promise<SessionHost | undefined> {
    const snapshot = this.#read();
    if (!snapshot) return undefined;
    let packageFiles: PackageFiles | undefined;
    try {
      packageFiles = new PackageFiles();
      return await SessionHost.begin(await restorePostgres(snapshot, postgres, packageFiles, maxSessions));
    } catch {
      // It would not run the next time either.
      packageFiles?.close();
      snapshot.cluster.close();
      dropFromCache(this.path);
      return undefined;
    }
  }

  /** Boots, and takes a snapshot in passing, which is to be kept later. */
  async boot(options: BootOptions): Promise<SessionHost> {
    const began = Date.now();
    const booted = await bootPostgres(options);
    this.#take(booted, began);
    return SessionHost.begin(booted);
  }

  /** Whether there is one to keep. */
  get isDue(): boolean {
    return this.#taken !== undefined;
  }

  /** Writes it. Not being able to is no error. Answers whether it did. */
  keep(): boolean {
    const taken = this.#taken;
    this.#taken = undefined;
    try {
      return taken !== undefined && writeSnapshot(this.path, this.key, taken);
    } catch {
      return false;
    }
  }

  #take(booted: BootedPostgres, began: number): void {
    const start = performance.now();
    try {
      this.#taken = takeSnapshot(booted, began, PGlite.paths.PGDATA);
      this.tookMs = performance.now() - start;
    } catch {
      // The server needs none.
    }
  }

  #read() {
    try {
      return readSnapshot(this.path, this.key);
    } catch {
      return undefined;
    }
  }
}

/** Equal only where a boot comes to the same. */
function keyOf(hash: Uint8Array, options: Options): string {
  assert(hash.length === hashBytes, "a snapshot is of a module that has a SHA-256");
  const offsets = [0, 6].map((month) => new Date(2020, month).getTimezoneOffset());
  const parts = {
    module: Buffer.from(hash).toString("hex"),
    // The module, of which all is compared, is that of a release that is known; these are its other files.
    pglite: sources.map((name) => statSync(pgliteFile(name))).map(({ size, mtimeMs }) => [size, mtimeMs]),
    // The name of the bundle that this is in tells what is in it.
    program: basename(import.meta.url),
    node: [process.version, process.versions.v8, process.platform, process.arch],
    stackMb: resourceLimits.stackSizeMb,
    environment: environment.map((name) => process.env[name] ?? null),
    language: globalThis.navigator?.language,
    offsets,
    options: { ...options, extensions: undefined },
  };
  return JSON.stringify(parts);
}
