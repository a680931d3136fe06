/** The hash of PGlite's binary is remembered for the very file, and for nothing else. */
import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { stockBinary } from "../../../../src/sessions/module/stock-binary.ts";

let home = "";
let cache = "";
let path = "";
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "stock-"));
  cache = join(home, "cache");
  path = join(home, "pglite.wasm");
  mkdirSync(cache, { mode: 0o700 });
  writeFileSync(path, "one");
  return () => rmSync(home, { recursive: true, force: true });
});

const hashOf = (text: string) => createHash("sha256").update(text).digest("hex");
const later = () => Date.now() + 10_000;
const kept = () => join(cache, readdirSync(cache)[0]!);
/** With what is kept changed to say something else, so that it is seen whether it is used. */
function remember(hash: string): void {
  const [state] = readFileSync(kept(), "utf8").split("\n");
  writeFileSync(kept(), `${state}\n${hash}\n${hashOf(`${state}\n${hash}`)}`);
}

test("a file that is as it was is not read", () => {
  expect(stockBinary(path, cache, later()).hash).toBe(hashOf("one"));
  expect(readdirSync(cache)).toEqual([expect.stringMatching(/^stock-1-[0-9a-f]{32}$/)]);
  expect(stockBinary(path, cache, later()).hash).toBe(hashOf("one"));
  remember("kept");
  const { hash, read } = stockBinary(path, cache, later());
  expect([hash, Buffer.from(read()).toString()]).toEqual(["kept", "one"]);
});

test("one that has changed is, also where its size and time of writing are the same", () => {
  utimesSync(path, 1000, 1000);
  stockBinary(path, cache, later());
  remember("kept");
  writeFileSync(path, "two");
  utimesSync(path, 1000, 1000);
  expect(stockBinary(path, cache, later()).hash).toBe(hashOf("two"));
  remember("kept");
  writeFileSync(join(home, "other"), "six");
  renameSync(join(home, "other"), path);
  expect(stockBinary(path, cache, later()).hash).toBe(hashOf("six"));
});

test("what is damaged is not believed, and of a file that was just written nothing is remembered", () => {
  expect(stockBinary(path, cache).hash).toBe(hashOf("one"));
  expect(readdirSync(cache)).toEqual([]);
  stockBinary(path, cache, later());
  const whole = readFileSync(kept());
  for (let at = 0; at < whole.length; at++) {
    const damaged = Buffer.from(whole);
    damaged[at]! ^= 1;
    writeFileSync(kept(), damaged);
    expect([at, stockBinary(path, cache).hash]).toEqual([at, hashOf("one")]);
  }
  expect(stockBinary(path, "").hash).toBe(hashOf("one"));
});
