/** One process makes what all wait for. */
import { fork } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { madeOnce } from "../../../src/system/made-once.ts";
import { waitUntil } from "../../support/wait-until.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "made-once-"));
  path = join(directory, "thing");
  return () => rmSync(directory, { recursive: true, force: true });
});

const open = () => (existsSync(path) ? readFileSync(path, "utf8") : undefined);
function maker() {
  const made = { times: 0 };
  const make = async (): Promise<string> => {
    made.times++;
    // Making takes its time, in which the others come.
    await new Promise((resolve) => setTimeout(resolve, 50));
    writeFileSync(path, `thing ${made.times}`);
    return open()!;
  };
  return { made, make };
}

test("it is made once, and nothing else is left", async () => {
  const { made, make } = maker();
  const all = await Promise.all(Array.from({ length: 20 }, () => madeOnce(path, open, make)));
  expect(new Set(all)).toEqual(new Set(["thing 1"]));
  expect(made.times).toBe(1);
  expect(readdirSync(directory)).toEqual(["thing"]);
});

test("where making fails each one is told so", async () => {
  const fail = () => Promise.reject(new Error("no space"));
  const all = await Promise.allSettled([1, 2, 3].map(() => madeOnce(path, open, fail)));
  expect(all.map((one) => one.status)).toEqual(["rejected", "rejected", "rejected"]);
  expect(readdirSync(directory)).toEqual([]);
});

test("whoever is abandoned waits for no other one", async () => {
  const abandoning = new AbortController();
  const never = madeOnce(path, open, () => new Promise<string>(() => {}));
  const { made, make } = maker();
  const waiting = madeOnce(path, open, make, abandoning.signal);
  abandoning.abort(new Error("the start was abandoned"));
  await expect(waiting).rejects.toThrow("the start was abandoned");
  expect(made.times).toBe(0);
  expect(await Promise.race([never, "it goes on"])).toBe("it goes on");
});

test("where no claim can be made it is made by everybody", async () => {
  const file = join(directory, "file");
  writeFileSync(file, "");
  const { made, make } = maker();
  await Promise.all([1, 2].map(() => madeOnce(join(file, "below"), () => undefined, make)));
  expect(made.times).toBe(2);
});

test("what a maker that was killed has left holds nobody up", async () => {
  const module = new URL("../../../src/system/made-once.ts", import.meta.url).href;
  const script = join(directory, "maker.mjs");
  writeFileSync(
    script,
    `import { madeOnce } from ${JSON.stringify(module)};
     setInterval(() => {}, 1000);
     await madeOnce(${JSON.stringify(path)}, () => undefined, () => new Promise(() => {}));`,
  );
  const child = fork(script);
  await waitUntil(
    "the child makes it",
    () => existsSync(`${path}.making`) && readFileSync(`${path}.making`).length > 0,
  );
  const { made, make } = maker();
  let looks = 0;
  const waiting = madeOnce(path, () => (looks++, open()), make);
  await waitUntil("it has looked several times", () => looks > 4);
  expect(made.times).toBe(0);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(await waiting).toBe("thing 1");
});

test("a claim that is old and cannot be taken away costs only time", async () => {
  mkdirSync(`${path}.making`);
  utimesSync(`${path}.making`, 0, 0);
  const { made, make } = maker();
  expect(await madeOnce(path, open, make)).toBe("thing 1");
  expect(made.times).toBe(1);
});
