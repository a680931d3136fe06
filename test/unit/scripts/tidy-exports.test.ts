import { describe, expect, test } from "vitest";
import { find, header, useParser } from "../../support/tidy-findings.ts";

useParser();

describe("dead-export", () => {
  const exporting = "export const a = 1;\nexport type B = 2;\n";
  const importedBy = (path: string, statement: string) =>
    find("dead-export", { "src/wire/a.ts": exporting, [path]: statement });

  test("is an export that nobody imports, also if its own file uses it", async () => {
    expect(await find("dead-export", { "src/wire/a.ts": `${exporting}const c: B = 2;\n` })).toEqual([
      "src/wire/a.ts:1",
      "src/wire/a.ts:2",
    ]);
    expect(await find("dead-export", { "scripts/a.ts": "export const { a, b: [c] } = d;\n" })).toEqual([
      "scripts/a.ts:1",
      "scripts/a.ts:1",
    ]);
    expect(await find("dead-export", { "src/wire/a.ts": "const a = 1;\nexport { a as b };\n" })).toEqual([
      "src/wire/a.ts:2",
    ]);
  });

  test.each([
    ["src/cli/b.ts", 'import { a } from "../wire/a.ts";'],
    ["scripts/b.ts", 'import { a as other } from "../src/wire/a.ts";'],
    ["test/b.ts", 'import { a, a as other } from "../src/wire/a.ts";'],
    ["vitest.config.ts", 'import { a } from "./src/wire/a.ts";'],
    ["test/b.mjs", 'import { a } from "../src/wire/a.ts";'],
  ])("is none if %s says %s", async (path, statement) => {
    expect(await importedBy(path, statement)).toEqual(["src/wire/a.ts:2"]);
  });

  test.each([
    'import * as everything from "../src/wire/a.ts";',
    'const everything = await import("../src/wire/a.ts");',
    'import { a, type B } from "../src/wire/a.ts";',
    'import { a } from "../src/wire/a.ts"; type C = import("../src/wire/a.ts").B;',
  ])("is none if a test says %s", async (statement) => {
    expect(await importedBy("test/b.ts", statement)).toEqual([]);
  });

  test("is none in the public interface and in the command line's entry", async () => {
    expect(await importedBy("src/index.ts", 'export { a, type B } from "./wire/a.ts";')).toEqual([]);
    expect(await importedBy("src/index.ts", 'export * from "./wire/a.ts";')).toEqual([]);
    expect(await find("dead-export", { "src/cli/main.ts": exporting })).toEqual([]);
  });

  test("is a re-export that nobody imports, and not what it passes on", async () => {
    expect(await importedBy("src/wire/b.ts", 'export { a, type B as C } from "./a.ts";')).toEqual([
      "src/wire/b.ts:1",
      "src/wire/b.ts:1",
    ]);
  });

  test("is found behind a re-export of everything", async () => {
    const texts = { "src/wire/a.ts": exporting, "src/wire/b.ts": 'export * from "./a.ts";' };
    expect(await find("dead-export", texts)).toEqual(["src/wire/a.ts:1", "src/wire/a.ts:2"]);
    const user = { "test/c.ts": 'import { a } from "../src/wire/b.ts";' };
    expect(await find("dead-export", { ...texts, ...user })).toEqual(["src/wire/a.ts:2"]);
  });

  test("is not looked for in tests", async () => {
    expect(await find("dead-export", { "test/support/a.ts": exporting })).toEqual([]);
  });
});

describe("docstring", () => {
  test.each([
    "export const a = 1;",
    "export function a() {}",
    "export class A {}",
    "export interface A {}",
    "export type A = 1;",
    "// Not a docstring.\nexport type A = 1;",
    "/* Not a docstring. */\nexport type A = 1;",
    "/** */\nexport type A = 1;",
    "const a = 1;\nexport { a };",
  ])("is missing in %j", async (text) => {
    const line = text.split("\n").length;
    expect(await find("docstring", { "src/wire/a.ts": `${header}${text}\n` })).toEqual([`src/wire/a.ts:${5 + line}`]);
  });

  test.each([
    "/** A. */\nexport const a = 1;",
    "/** A. */\n// Why it is so.\nexport async function a() {}",
    "/** A. */\nexport function a(b: 1): 1;\nexport function a(b: 2): 2;\nexport function a(b: number) {\n  return b;\n}",
    "/** A. */\nconst a = 1;\nexport { a as b };",
    'export { a } from "./b.ts";',
    'export * from "./b.ts";',
    "const notExported = 1;",
  ])("is not missing in %j", async (text) => {
    expect(await find("docstring", { "src/wire/a.ts": `${header}${text}\n` })).toEqual([]);
  });

  test("is not the comment that opens the file", async () => {
    expect(await find("docstring", { "src/wire/a.ts": `${header}export const a = 1;\n` })).toEqual(["src/wire/a.ts:6"]);
    expect(await find("docstring", { "scripts/a.ts": `${header}/** A. */\nexport const a = 1;\n` })).toEqual([]);
  });

  test("is not asked for in tests", async () => {
    expect(await find("docstring", { "test/support/a.ts": "export const a = 1;\n" })).toEqual([]);
  });
});
