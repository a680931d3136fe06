import { describe, expect, test } from "vitest";
import { find, header } from "../../support/tidy-findings.ts";

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
