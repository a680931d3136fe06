/** Which kind of seed a file is, and how a module seed is run. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { MigrationError, UsageError } from "../../../src/errors.ts";
import { runModuleSeed, seedKind } from "../../../src/migrate/index.ts";
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

describe("runModuleSeed", () => {
  it.each([
    ["seed.mjs", "export default async function (url) { globalThis.seededWith = url; }"],
    ["seed.cjs", "exports.__esModule = true; exports.default = async (url) => { globalThis.seededWith = url; };"],
    [
      "seed.ts",
      "export default async (url: string): Promise<void> => { Object.assign(globalThis, { seededWith: url }); };",
    ],
  ])("calls the default function of %s with the URL", async (name, text) => {
    const file = write(name, text);
    await runModuleSeed(file, `postgresql://${name}`);
    expect((globalThis as { seededWith?: string }).seededWith).toBe(`postgresql://${name}`);
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
    const running = runModuleSeed(write("seed.mjs", text), "postgresql://x");
    await expect(running).rejects.toThrow(MigrationError);
    await expect(running).rejects.toThrow(message);
  });
});
