/** Which cache is used, and which of its files: those of this user that nobody else can have written. */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { packCluster, unpackCluster } from "../../../src/cluster/cluster-archive.ts";
import { cacheDirectory, openCached, readCached } from "../../../src/system/user-cache.ts";
import { waitUntil } from "../../support/wait-until.ts";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "user-cache-"));
  const { XDG_CACHE_HOME: before } = process.env;
  process.env.XDG_CACHE_HOME = home;
  return () => {
    if (before === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = before;
    rmSync(home, { recursive: true, force: true });
  };
});

function warnings(): string[] {
  const seen: string[] = [];
  const note = ({ message }: Error) => void seen.push(message);
  process.on("warning", note);
  onTestFinished(() => void process.off("warning", note));
  return seen;
}

describe.runIf(process.platform !== "win32")("a cache directory", () => {
  test("that is missing, or this user's only, is used; one that others may read is made private", () => {
    const path = join(home, "pglite-devdb");
    expect(cacheDirectory()).toBe(path);
    mkdirSync(path, { mode: 0o700 });
    expect(cacheDirectory()).toBe(path);
    chmodSync(path, 0o755);
    expect(cacheDirectory()).toBe(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  test("that others may write to is closed to them, and what they have put there is not read", () => {
    const path = join(home, "pglite-devdb");
    mkdirSync(path);
    chmodSync(path, 0o777);
    writeFileSync(join(path, "file"), "x", { mode: 0o666 });
    chmodSync(join(path, "file"), 0o666);
    expect(cacheDirectory()).toBe(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(() => readCached(join(path, "file"))).toThrow("others may write");
  });

  test.runIf(process.getuid?.() === 0)("of somebody else is not used, nor a file of somebody else", async () => {
    const path = join(home, "pglite-devdb");
    mkdirSync(path, { mode: 0o700 });
    writeFileSync(join(path, "file"), "x");
    chownSync(join(path, "file"), 4711, 4711);
    expect(() => readCached(join(path, "file"))).toThrow("belongs to another user");
    chownSync(path, 4711, 4711);
    const seen = warnings();
    expect(cacheDirectory()).toBeUndefined();
    await waitUntil("the warning came", () => seen.length > 0);
    expect(seen[0]).toContain(`the cache ${path} is not used: it belongs to the user with the id 4711`);
  });
});

describe.runIf(process.platform !== "win32")("a file of the cache", () => {
  /** In a process of its own, which opening a pipe would stop. */
  function outcomeOf(path: string): string {
    const archive = join(import.meta.dirname, "../../../src/cluster/cluster-archive.ts");
    const script = `
      const { openCluster } = await import(${JSON.stringify(archive)});
      try { openCluster(${JSON.stringify(path)}); } catch { console.log("refused"); }
    `;
    const limits = { encoding: "utf8", timeout: 30_000, killSignal: "SIGKILL" } as const;
    return spawnSync(process.execPath, ["--input-type=module", "-e", script], limits).stdout;
  }

  test("that is a pipe does not hold up the start", () => {
    const path = join(home, "pipe");
    expect(spawnSync("mkfifo", [path]).status).toBe(0);
    expect(outcomeOf(path)).toBe("refused\n");
  });

  test("that is a device, a link or a directory is not read", () => {
    expect(() => readCached("/dev/zero")).toThrow("is not a regular file");
    symlinkSync("/dev/zero", join(home, "link"));
    expect(() => openCached(join(home, "link"))).toThrow(/ELOOP/);
    expect(() => readCached(home)).toThrow("is not a regular file");
  });
});

describe("an archive", () => {
  const file = (name: string, size = 1) => ({ name, size, read: () => new Uint8Array([1]) });

  test.each(["../x", "a/../../x", "/etc/x", "a//b", "./x", "a/.", "", "a\\b", "a\0b"])(
    "with the name %j is refused",
    (name) => {
      expect(() => unpackCluster(packCluster({ directories: [], files: [file(name)] }))).toThrow(
        "is the name of a file",
      );
      expect(() => unpackCluster(packCluster({ directories: [name], files: [] }))).toThrow("is the name of a file");
    },
  );

  test.each([-1, 0, 0.5, 2 ** 40])("with a file of the size %d is refused", (size) => {
    expect(() => unpackCluster(packCluster({ directories: [], files: [file("x", size)] }))).toThrow(
      /has a size|not that large/,
    );
  });

  test("whose index or contents are larger than itself is refused", () => {
    const archive = packCluster({ directories: [], files: [file("x")] });
    expect(() => unpackCluster(archive.subarray(0, archive.length - 1))).toThrow("the contents of all its files");
    new DataView(archive.buffer).setUint32(4, 0xffff_ffff, true);
    expect(() => unpackCluster(archive)).toThrow("the index lies in the archive");
  });
});
