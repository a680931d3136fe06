/** When PGlite's bundles are unpacked, with functions in place of emscripten's. */
import { expect, test } from "vitest";
import { BundledExtensions } from "../../../src/sessions/bundled-extensions.ts";

const noEntry = -44;
const directory = "/pglite/share/postgresql/extension";

class Machine {
  readonly files = new Map<string, number>();
  readonly bytes = new Uint8Array(1000);
  readonly env: Record<string, (...values: number[]) => number> = {};
  readonly asked: string[] = [];

  constructor() {
    const find = () => {
      const path = Buffer.from(this.bytes.slice(0, this.bytes.indexOf(0))).toString();
      this.asked.push(path);
      return this.files.has(path) || path === directory ? 3 : noEntry;
    };
    for (const name of ["__syscall_openat", "__syscall_stat64", "__syscall_newfstatat", "__syscall_faccessat"])
      this.env[name] = find;
    const bundled = new BundledExtensions(() => this.bytes);
    bundled.offer(this.env);
    bundled.files = {
      analyzePath: (path) => ({ exists: this.files.has(path) }),
      mkdirTree: () => undefined,
      writeFile: (path, { length }) => void this.files.set(path, length),
    };
  }

  stat(path: string): number {
    this.bytes.set(Buffer.from(`${path}\0`));
    return this.env.__syscall_stat64!(0, 500);
  }

  open(path: string): number {
    this.bytes.set(Buffer.from(`${path}\0`));
    return this.env.__syscall_openat!(0, 0, 0);
  }
}

test("nothing is unpacked for what is no extension's, or is there", () => {
  const machine = new Machine();
  machine.files.set("/pglite/lib/postgresql/plpgsql.so", 1);
  for (const path of ["base/5/1259", "/pglite/data/x", "/pglite/share/postgresql/timezonesets/Default"]) {
    expect(machine.stat(path)).toBe(noEntry);
  }
  expect(machine.stat("/pglite/lib/postgresql/plpgsql.so")).toBe(3);
  expect([...machine.files.keys()]).toEqual(["/pglite/lib/postgresql/plpgsql.so"]);
});

test("a missing file is looked for once more, and libraries are unpacked one by one", () => {
  const machine = new Machine();
  expect(machine.stat(`${directory}/citext.control`)).toBe(3);
  expect(machine.files.size).toBeGreaterThan(60);
  const libraries = () => [...machine.files.keys()].filter((path) => path.endsWith(".so"));
  expect(libraries()).toEqual([]);
  expect(machine.stat("/pglite/lib/postgresql/citext.so")).toBe(3);
  expect(machine.stat("/pglite/lib/postgresql/_int.so")).toBe(3);
  expect(libraries()).toEqual(["/pglite/lib/postgresql/citext.so", "/pglite/lib/postgresql/_int.so"]);
  const { length } = machine.asked;
  expect(machine.stat(`${directory}/postgis.control`)).toBe(noEntry);
  expect(machine.asked.length).toBe(length + 1);
});

test("a directory that is opened is full, and a library that was there is left alone", () => {
  const machine = new Machine();
  machine.files.set("/pglite/lib/postgresql/citext.so", 1);
  expect(machine.open(directory)).toBe(3);
  expect(machine.files.has(`${directory}/uuid-ossp.control`)).toBe(true);
  expect(machine.stat("/pglite/lib/postgresql/citext.so")).toBe(3);
  expect(machine.files.get("/pglite/lib/postgresql/citext.so")).toBe(1);
});
