/** The first start in a data directory: an end at any point of it leaves nothing or the whole. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { prepareDataDirectory } from "../../../../src/engine/data-directory/data-directory.ts";
import { lockName } from "../../../../src/engine/data-directory/directory-lock.ts";
import {
  beginInitialization,
  finishInitialization,
  initializationName,
} from "../../../../src/engine/data-directory/initialization.ts";

let path: string;
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), "initialization-"));
  return () => rmSync(path, { recursive: true, force: true });
});

const database = { "base/1/2": "rows", PG_VERSION: "18\n", "postgresql.conf": "", "pg_wal/0": "wal" };

function writeFiles(directory: string): void {
  for (const [name, text] of Object.entries(database)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
}

function expectDatabase(): void {
  expect(readdirSync(path).sort()).toEqual(["PG_VERSION", "base", "pg_wal", "postgresql.conf"]);
  for (const [name, text] of Object.entries(database)) expect(readFileSync(join(path, name), "utf8")).toBe(text);
}

test.each([[false], [true]])("a new database is made aside and moved into place (synced: %s)", async (sync) => {
  const files = beginInitialization(path)!;
  expect(readdirSync(files)).toEqual([]);
  writeFiles(files);
  await finishInitialization(path, sync);
  expectDatabase();
  expect(beginInitialization(path)).toBeUndefined();
  expectDatabase();
});

test("one that was not completed is cleared away and made again", () => {
  writeFiles(beginInitialization(path)!);
  prepareDataDirectory(path);
  const files = beginInitialization(path)!;
  expect(readdirSync(files)).toEqual([]);
  expect(readdirSync(path)).toEqual([initializationName]);
});

test("a move that was interrupted after any of its steps is finished, and such a directory is accepted", () => {
  const names = ["base", "pg_wal", "postgresql.conf", "PG_VERSION"];
  for (let moved = 0; moved <= names.length; moved++) {
    const files = beginInitialization(path)!;
    writeFiles(files);
    writeFileSync(join(path, initializationName, "whole"), "");
    for (const name of names.slice(0, moved)) renameSync(join(files, name), join(path, name));
    prepareDataDirectory(path);
    expect(beginInitialization(path)).toBeUndefined();
    expectDatabase();
    for (const name of readdirSync(path)) rmSync(join(path, name), { recursive: true });
  }
});

test("an end while the rest is removed leaves the database", () => {
  writeFiles(path);
  mkdirSync(join(path, initializationName, "data"), { recursive: true });
  writeFileSync(join(path, initializationName, "whole"), "");
  expect(beginInitialization(path)).toBeUndefined();
  expectDatabase();
  mkdirSync(join(path, initializationName));
  expect(beginInitialization(path)).toBeUndefined();
  expectDatabase();
});

test("a lock and an interrupted first start do not make a directory foreign, and do not hide what does", () => {
  mkdirSync(join(path, lockName));
  beginInitialization(path);
  prepareDataDirectory(path);
  writeFileSync(join(path, "notes.txt"), "mine");
  expect(() => prepareDataDirectory(path)).toThrow("it holds other files (notes.txt)");
});

test("nothing is ever removed but what the first start made", () => {
  writeFileSync(join(path, "notes.txt"), "mine");
  writeFiles(beginInitialization(path)!);
  beginInitialization(path);
  expect(readFileSync(join(path, "notes.txt"), "utf8")).toBe("mine");
});
