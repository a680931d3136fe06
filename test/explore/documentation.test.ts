/** The example of docs/explore.md is `example.ts`, and says what the page says that it does. It uses the package by its name, as users do. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const page = readFileSync(join(import.meta.dirname, "../../docs/explore.md"), "utf8");
const example = join(import.meta.dirname, "example.ts");

test("the example of the page is what is run here, and prints what it says", { tags: "long" }, async () => {
  const [, code] = /```ts\n(import pg.*?)```/s.exec(page)!;
  const [, output] = /```\n(\d+ of \d+ schedules .*?)```/s.exec(page)!;
  expect(code).toBe(readFileSync(example, "utf8"));
  const { stdout } = await promisify(execFile)(process.execPath, [example]);
  expect(stdout).toBe(output);
});
