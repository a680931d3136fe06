/** The files that are made in a shorter way are those that Emscripten makes. */
import { createHash } from "node:crypto";
import { PGlite } from "@electric-sql/pglite";
import { expect, test } from "vitest";
import { MemoryFiles } from "../../../src/cluster/memory-files.ts";
import { PackageFiles } from "../../../src/cluster/package-files.ts";
import { fileMaker } from "../../../src/cluster/quick-files.ts";

type Options = ConstructorParameters<typeof PGlite>[0];

/** Emscripten's, as far as it is asked here. */
interface Files {
  readdir(path: string): string[];
  lookupPath(path: string): { readonly node: { readonly mode: number; readonly usedBytes: number } };
  readFile(path: string): Uint8Array;
  writeFile(path: string, text: string): void;
  isDir(mode: number): boolean;
  isFile(mode: number): boolean;
  stat(path: string): object;
}

/** A runtime in which PostgreSQL has not been started. */
async function filesOf(options: object): Promise<Files> {
  const pglite = new PGlite({ ...options, noInitDb: true } as Options);
  await pglite.waitReady;
  return pglite.Module.FS as unknown as Files;
}

function list(files: Files, path: string): string[] {
  return files.readdir(path).flatMap((name) => {
    if (name === "." || name === "..") return [];
    const whole = `${path}/${name}`;
    const { mode, usedBytes } = files.lookupPath(whole).node;
    const entry = `${whole} ${mode.toString(8)}`;
    if (files.isDir(mode)) return [entry, ...list(files, whole)];
    if (!files.isFile(mode)) return [entry];
    return [`${entry} ${usedBytes} ${createHash("sha1").update(files.readFile(whole)).digest("hex")}`];
  });
}

test.each(["at once", "when they are needed"])("a package, whose files are read %s, and a cluster", async (when) => {
  const cluster = {
    directories: ["base", "base/1"],
    files: ["PG_VERSION", "base/1/1234", "base/1/1235"].map((name) => {
      return { name, size: name.length + 3, read: () => new TextEncoder().encode(name) };
    }),
    close: () => {},
  };
  const packageFiles = when === "at once" ? undefined : new PackageFiles();
  const quick = await filesOf({ fs: new MemoryFiles(cluster, packageFiles), fsBundle: packageFiles?.bundle });
  const theirs = await filesOf({});
  const own = (files: Files) => list(files, "/pglite").filter((entry) => !/^\/pglite\/data\b/.test(entry));
  expect(own(quick)).toEqual(own(theirs));
  expect(own(quick).length).toBeGreaterThan(700);

  const { PGDATA } = PGlite.paths;
  for (const { name } of cluster.files) {
    expect(Buffer.from(quick.readFile(`${PGDATA}/${name}`)).toString("latin1")).toBe(`${name}\0\0\0`);
    theirs.writeFile("/written", `${name}\0\0\0`);
    const { atime, mtime, ctime, ino, ...expected } = theirs.stat("/written") as Record<string, unknown>;
    expect(quick.stat(`${PGDATA}/${name}`)).toMatchObject(expected);
  }
  const make = fileMaker(quick);
  expect(() => make(`${PGDATA}/base/1/1234`, 0o100666)).toThrow("is there already");
  expect(() => make(`${PGDATA}/nowhere/1`, 0o100666)).toThrow();
});
