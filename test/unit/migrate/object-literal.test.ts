/** What can be read from a configuration module without running it. */
import { describe, expect, it } from "vitest";
import { type ObjectLiteral, readDefaultExport } from "../../../src/migrate/object-literal.ts";

function read(source: string, key = "out"): string | ObjectLiteral | undefined {
  return readDefaultExport(source)?.properties.get(key);
}

describe("readDefaultExport", () => {
  it.each([
    ["a plain object", `export default { out: "./a" }`],
    ["defineConfig", `import { defineConfig } from "drizzle-kit";\nexport default defineConfig({ out: './a', });`],
    ["satisfies", `export default { dialect: "postgresql", out: "./a" } satisfies Config;`],
    ["as const", `export default { out: "./a" as const } as Config`],
    ["CommonJS", "module.exports = { 'out': `./a` };"],
    ["a constant with a type", `const config: Config = { out: "./a" };\nexport default config;`],
    ["a constant of defineConfig", `const c = defineConfig({ out: "./a" })\nexport default c`],
    ["comments with quotes", `// don't\n/* out: "x" */ export default { /* out: "./b" */ out: "./a" } // "`],
    [
      "code before it",
      `import "dotenv/config";\nif (!process.env.A) throw new Error("A");\nexport default { out: "./a" };`,
    ],
    [
      "other values of any kind",
      `export default { a: [1, { out: 'no' }], f: (x) => ({ out: x }), u: \`p://\${h}\`, out: './a', z: p.e.Z! ?? 'q' }`,
    ],
    ["an escaped character", String.raw`export default { out: ".\/a", other: "\n" }`],
  ])("reads %s", (_shape, source) => {
    expect(read(source)).toBe("./a");
  });

  it("reads nested objects", () => {
    const migrations = read(`export default { migrations: { table: "t", schema: S }, out: 1 }`, "migrations");
    expect([...(migrations as ObjectLiteral).properties]).toEqual([
      ["table", "t"],
      ["schema", undefined],
    ]);
  });

  it.each([
    ["a variable", "export default { out: folder }"],
    ["a call", `export default { out: path.join("a", "b") }`],
    ["a sum", `export default { out: "./" + name }`],
    ["a condition", `export default { out: "a" ? "b" : "c" }`],
    ["a template with a value", `export default { out: \`./\${a}\` }`],
    ["shorthand", "export default { out }"],
    ["an accessor", `export default { get out() { return "a" } }`],
    ["an escape that is not a character", String.raw`export default { out: "\u0061" }`],
  ])("does not guess the value of %s", (_shape, source) => {
    expect(readDefaultExport(source)!.properties.has("out") || readDefaultExport(source)!.properties.has("get")).toBe(
      true,
    );
    expect(read(source)).toBeUndefined();
  });

  it("says when a spread or computed key may set more, and forgets what comes before it", () => {
    expect(readDefaultExport(`export default { out: "a", ...base, dialect: "d" }`)).toEqual({
      open: true,
      properties: new Map([["dialect", "d"]]),
    });
    expect(readDefaultExport(`export default { [key]: "a" }`)).toEqual({ open: true, properties: new Map() });
  });

  it.each([
    ["a regular expression, whose quotes mean nothing", `const r = /"/; export default { out: "a" }`],
    ["one with a class and flags", `export default { filter: /[/"]+\\/'/giu, out: "a" }`],
    ["a division", `const n = 4 / 2 / 1; export default { out: "a" }`],
    ["a division behind a bracket", `const n = (4) / 2; const s = "/"; export default { out: "a" }`],
  ])("reads beside %s", (_shape, source) => {
    expect(readDefaultExport(source)?.properties.get("out")).toBe("a");
  });

  it.each([
    ["another function", `export default wrap({ out: "a" })`],
    ["a member of an object", `export default { out: "a" }.b`],
    ["a constant that is changed", `const c = { out: "a" }; c.out = "b"; export default c`],
    ["a variable that can be changed", `let c = { out: "a" }; export default c`],
    ["a name from elsewhere", `import c from "./c"; export default c`],
    ["no default export", `export const config = { out: "a" }`],
    ["a constant that refers to itself", "const a = a; export default a"],
  ])("gives nothing for %s", (_shape, source) => {
    expect(readDefaultExport(source)).toBeUndefined();
  });
});
