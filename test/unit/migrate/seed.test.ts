/** Which kind of seed a file is, and how a module seed is run. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { MigrationError, UsageError } from "../../../src/errors.ts";
import { functionSeed, moduleSeed, runCodeSeed, seedKind } from "../../../src/migrate/index.ts";
import { folder } from "../../migrate/fixtures.ts";

const write = (name: string, text: string) => join(folder({ [name]: text }), name);

describe("seedKind", () => {
  it.each([
    ["seed.sql", "sql"],
    ["SEED.SQL", "sql"],
    ["seed.ts", "module"],
    ["seed.mjs", "module"],
    ["seed.cjs", "module"],
  ])("%s is a seed of the kind %s", (name, kind) => {
    expect(seedKind(write(name, ""))).toBe(kind);
  });

  it("refuses other files and missing ones by name", () => {
    expect(() => seedKind(write("seed.csv", ""))).toThrow(UsageError);
    expect(() => seedKind(write("seed.csv", ""))).toThrow(/seed\.csv is neither a \.sql file nor a module/);
    expect(() => seedKind("/nowhere/seed.sql")).toThrow(/nowhere.seed\.sql does not exist/);
  });
});

describe("a seed that is code", () => {
  it.each([
    ["seed.mjs", "export default async function (url) { globalThis.seededWith = url; }"],
    ["seed.cjs", "exports.__esModule = true; exports.default = async (url) => { globalThis.seededWith = url; };"],
    [
      "seed.ts",
      "export default async (url: string): Promise<void> => { Object.assign(globalThis, { seededWith: url }); };",
    ],
  ])("calls the default function of %s with the URL", async (name, text) => {
    const file = write(name, text);
    await runCodeSeed(moduleSeed(file), `postgresql://${name}`);
    expect((globalThis as { seededWith?: string }).seededWith).toBe(`postgresql://${name}`);
  });

  it("a module with an enum is an error that says what Node makes of TypeScript", async () => {
    const file = write("seed.ts", "enum Role { admin }; export default async () => Role.admin;");
    // Imported by Node itself, as vitest would compile it.
    const code = `const { moduleSeed } = await import(${JSON.stringify(join(import.meta.dirname, "../../../src/migrate/code-seed.ts"))});
      await moduleSeed(${JSON.stringify(file)}).load().catch((error) => console.log(error.message));`;
    const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
    expect(stdout).toContain("cannot be imported");
    expect(stdout).toContain("not enum, namespace or parameter properties");
  });

  it("a function is called with the URL, and what it throws is a MigrationError", async () => {
    const seen: string[] = [];
    await runCodeSeed(
      functionSeed(async (url) => void seen.push(url)),
      "postgresql://x",
    );
    expect(seen).toEqual(["postgresql://x"]);
    const failing = functionSeed(() => Promise.reject(new Error("no such tenant")));
    const running = runCodeSeed(failing, "postgresql://x");
    await expect(running).rejects.toThrow(MigrationError);
    await expect(running).rejects.toThrow("the seed failed: no such tenant");
  });

  it.each([
    [
      "fails",
      "export default async () => { throw new Error('no such tenant'); };",
      /the seed .*seed\.mjs failed: no such tenant/,
    ],
    ["fails with something that is no Error", "export default () => { throw 'oops'; };", /seed\.mjs failed: oops/],
    ["has no default function", "export const seed = 1;", /seed\.mjs has no default function/],
    ["cannot be imported", "import 'no-such-package-here';", /seed\.mjs cannot be imported: .*no-such-package-here/],
  ])("a module that %s is an error that names it", async (_what, text, message) => {
    const running = runCodeSeed(moduleSeed(write("seed.mjs", text)), "postgresql://x");
    await expect(running).rejects.toThrow(MigrationError);
    await expect(running).rejects.toThrow(message);
  });
});
