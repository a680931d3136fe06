/** drizzle.config.*: read when it is written down, run only when it has to be. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readDrizzleConfig } from "../../../src/migrate/drizzle-config.ts";
import { folder } from "../../migrate/fixtures.ts";

async function outOf(name: string, text: string, ...rest: [((url: string) => Promise<unknown>)?]): Promise<string> {
  const directory = folder({ [name]: text });
  return (await readDrizzleConfig(join(directory, name), ...rest)).out.slice(directory.length + 1);
}

describe("readDrizzleConfig", () => {
  it("does not run a file whose settings are written down", async () => {
    const text = `import "dotenv/config";
      if (!process.env.SECRET) throw new Error("SECRET is not set");
      export default defineConfig({ out: "./db", dialect: "postgresql", dbCredentials: { url: process.env.SECRET! } });`;
    expect(await outOf("drizzle.config.ts", text)).toBe("db");
  });

  it.each([
    ["a computed folder", "drizzle.config.mjs", `const base = "db"; export default { out: \`\${base}/out\` };`],
    ["a spread", "drizzle.config.mjs", `const base = { out: "db/out" }; export default { ...base };`],
    ["CommonJS", "drizzle.config.cjs", `module.exports = { out: ["db", "out"].join("/") };`],
    ["TypeScript", "drizzle.config.ts", `const out: string = ["db", "out"].join("/"); export default { out };`],
  ])("runs a file with %s", async (_what, name, text) => {
    expect(await outOf(name, text)).toBe(join("db", "out"));
  });

  it("says what to do when a file that has to be run throws", async () => {
    const reading = outOf(
      "drizzle.config.mjs",
      `throw new Error("no secrets"); export default { out: process.env.OUT };`,
    );
    await expect(reading).rejects.toThrow(/drizzle\.config\.mjs: .*no secrets; pass --migrations DIR/);
  });

  it("says what to do when this Node runs no TypeScript (a mocked import: the tests' Node runs it)", async () => {
    const refusing = () =>
      Promise.reject(Object.assign(new Error("Unknown file extension"), { code: "ERR_UNKNOWN_FILE_EXTENSION" }));
    const reading = outOf("drizzle.config.ts", "export default { out: process.env.OUT };", refusing);
    await expect(reading).rejects.toThrow(/Node v.* does not run TypeScript; pass --migrations DIR/);
  });
});
