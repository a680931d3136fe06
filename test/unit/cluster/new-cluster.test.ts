/** New clusters: copies of what initdb made once, each with an identity of its own. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Cluster, openCluster, packCluster, unpackCluster } from "../../../src/cluster/cluster-archive.ts";
import { withNewIdentity } from "../../../src/cluster/cluster-identity.ts";
import { newCluster, writeCluster } from "../../../src/cluster/new-cluster.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "new-cluster-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const file = (name: string, ...bytes: number[]) => ({
  name,
  size: bytes.length,
  read: () => Uint8Array.from(bytes),
});
const small = {
  directories: ["a", "a/b"],
  files: [file("a/b/x", 1, 2, 0, 3, 0, 0), file("empty"), file("zeros", 0, 0)],
};

function contents({ files }: Cluster): [string, number, number[]][] {
  return files.map((one) => [one.name, one.size, [...one.read()]]);
}

test("an archive has all files, without the zeros at their ends, in memory and in a file", () => {
  const archive = packCluster(small);
  const path = join(directory, "small");
  writeFileSync(path, archive);
  for (const cluster of [unpackCluster(archive), openCluster(path)]) {
    expect(cluster.directories).toEqual(["a", "a/b"]);
    expect(contents(cluster)).toEqual([
      ["a/b/x", 6, [1, 2, 0, 3]],
      ["empty", 0, []],
      ["zeros", 2, []],
    ]);
    cluster.close();
  }
  const target = join(directory, "written");
  mkdirSync(target);
  writeCluster(unpackCluster(archive), target);
  expect([...readFileSync(join(target, "a/b/x"))]).toEqual([1, 2, 0, 3, 0, 0]);
  expect(statSync(join(target, "zeros")).size).toBe(2);
  expect(statSync(join(target, "a/b/x")).mode & 0o777).toBe(process.platform === "win32" ? 0o666 : 0o600);
});

test("an archive that is damaged anywhere or too short is not opened", () => {
  const archive = packCluster(small);
  const path = join(directory, "damaged");
  for (const length of [0, 3, 7, archive.length - 1]) {
    writeFileSync(path, archive.subarray(0, length));
    expect(() => openCluster(path)).toThrow();
  }
  for (let at = 0; at < archive.length; at += 5) {
    const damaged = archive.slice();
    damaged[at]! ^= 4;
    writeFileSync(path, damaged);
    expect(() => openCluster(path)).toThrow();
  }
});

test("files of an unknown form keep their identity", () => {
  const cluster = unpackCluster(packCluster(small));
  expect(withNewIdentity(cluster)).toBe(cluster);
});

test("a checksum that ends with a zero is found where the zeros at the ends of files are not kept", () => {
  const castagnoli = (bytes: Uint8Array) => {
    let crc = 0xffffffff;
    for (const byte of bytes) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    }
    return ~crc >>> 0;
  };
  const control = Buffer.alloc(8192);
  do control.writeBigUInt64LE(control.readBigUInt64LE() + 1n);
  while (castagnoli(control.subarray(0, 288)) >>> 24 !== 0);
  control.writeUInt32LE(castagnoli(control.subarray(0, 288)), 288);
  const segment = Buffer.alloc(64);
  segment.fill(1).writeBigUInt64LE(control.readBigUInt64LE(), 24);
  const names = ["global", "pg_wal"];
  const files = [file("global/pg_control", ...control), file(`pg_wal/${"0".repeat(24)}`, ...segment)];
  const cluster = unpackCluster(packCluster({ directories: names, files }));
  expect(withNewIdentity(cluster)).not.toBe(cluster);
});

test("initdb runs for the first cluster only; a template that is damaged is made again", { tags: "long" }, async () => {
  const cache = join(directory, "cache");
  const first = await newCluster(cache);
  first.close();
  const [name] = readdirSync(cache);
  const path = join(cache, name!);
  const made = statSync(path).mtimeMs;

  const clusters = [await newCluster(cache), await newCluster(cache)];
  expect(statSync(path).mtimeMs).toBe(made);
  const [one, other] = clusters.map((cluster) => new Map(cluster.files.map((entry) => [entry.name, entry])));
  const differing = [...one!.keys()].filter(
    (key) => Buffer.compare(one!.get(key)!.read(), other!.get(key)!.read()) !== 0,
  );
  expect(differing.sort()).toEqual(["global/pg_control", expect.stringMatching(/^pg_wal\/[0-9A-F]{24}$/)]);
  const identifier = (entry: Uint8Array, at: number) => Buffer.from(entry).readBigUInt64LE(at);
  const identifiers = [one!, other!].map((files) => identifier(files.get("global/pg_control")!.read(), 0));
  expect(identifiers[0]).not.toBe(identifiers[1]);
  expect(identifier(one!.get(differing[1]!)!.read(), 24)).toBe(identifiers[0]);
  // Seconds since 1970, as initdb writes them.
  expect(Math.abs(Number(identifiers[0]! >> 32n) - Date.now() / 1000)).toBeLessThan(600);
  for (const cluster of clusters) cluster.close();

  writeFileSync(path, readFileSync(path).subarray(0, 1_000_000));
  (await newCluster(cache)).close();
  expect(statSync(path).size).toBeGreaterThan(2_000_000);
  expect(readdirSync(cache)).toEqual([name]);
});

test("a cache that cannot be written costs only time", { tags: "long" }, async () => {
  const blocked = join(directory, "blocked");
  writeFileSync(blocked, "a file");
  const cluster = await newCluster(join(blocked, "cache"));
  expect(cluster.files.length).toBeGreaterThan(500);
  cluster.close();
});
