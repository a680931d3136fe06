import { describe, expect, test } from "vitest";
import { find, findings, useParser } from "../../support/tidy-findings.ts";

useParser();

describe("rank", () => {
  const importing = (from: string, specifier: string, target: string) =>
    findings("rank", { [from]: `import "${specifier}";\n`, [target]: "" });

  test.each([
    ["src/wire/a.ts", "../engine/b.ts", "src/engine/b.ts", "which ranks above it"],
    ["src/options.ts", "./wire/b.ts", "src/wire/b.ts", "which ranks above it"],
    ["src/dev-db.ts", "./index.ts", "src/index.ts", "which ranks above it"],
    ["src/migrate/a.ts", "../cli/b.ts", "src/cli/b.ts", "which ranks above it"],
    ["src/migrate/a.ts", "../transport/b.ts", "src/transport/b.ts", "a neighbour in its rank"],
    ["src/cli/a.ts", "../testing/b.ts", "src/testing/b.ts", "a neighbour in its rank"],
    ["src/errors.ts", "./options/a.ts", "src/options/a.ts", "which ranks above it"],
    ["src/index.ts", "./testing/claim-ports.ts", "src/testing/claim-ports.ts", "which ranks above it"],
    ["src/wire/a.ts", "../../test/b.ts", "test/b.ts", "which is not shipped"],
    ["src/wire/a.ts", "../../scripts/b.ts", "scripts/b.ts", "which is not shipped"],
  ])("forbids %s to import %s", async (from, specifier, target, relation) => {
    expect(await importing(from, specifier, target)).toMatchObject([
      { path: from, line: 1, what: expect.stringContaining(`imports ${target}, ${relation}`) },
    ]);
  });

  test.each([
    ["src/cli/main.ts", "../index.ts", "src/index.ts"],
    ["src/cli/main.ts", "../errors.ts", "src/errors.ts"],
    ["src/transport/a.ts", "../engine/b.ts", "src/engine/b.ts"],
    ["src/engine/a.ts", "./thread/b.ts", "src/engine/thread/b.ts"],
    ["src/engine/thread/a.ts", "../b.ts", "src/engine/b.ts"],
    ["src/options.ts", "./options/b.ts", "src/options/b.ts"],
    ["src/index.ts", "./testing/index.ts", "src/testing/index.ts"],
    ["src/options.ts", "../package.json", "package.json"],
    ["test/a.ts", "../src/wire/b.ts", "src/wire/b.ts"],
    ["scripts/a.ts", "../src/cli/b.ts", "src/cli/b.ts"],
  ])("allows %s to import %s", async (from, specifier, target) => {
    expect(await importing(from, specifier, target)).toEqual([]);
  });

  test("says where to move what is shared", async () => {
    const [finding] = await importing("src/wire/a.ts", "../engine/b.ts", "src/engine/b.ts");
    expect(finding!.instead).toBe("move what is shared down, to options or below");
  });

  test("asks for a rank for every folder", async () => {
    expect(await find("rank", { "src/extras/a.ts": "" })).toEqual(["src/extras/a.ts:1"]);
    expect(await find("rank", { "src/extras.ts": "" })).toEqual(["src/extras.ts:1"]);
  });

  test.each([
    'import type { B } from "../engine/b.ts";',
    'import { type B } from "../engine/b.ts";',
    'import * as b from "../engine/b.ts";',
    'import b from "../engine/b.ts";',
    'import b = require("../engine/b.ts");',
    'export { b } from "../engine/b.ts";',
    'export type { B } from "../engine/b.ts";',
    'export * from "../engine/b.ts";',
    'export * as b from "../engine/b.ts";',
    'type B = import("../engine/b.ts").B;',
    'type B = typeof import("../engine/b.ts");',
    'const b = await import("../engine/b.ts");',
    'const b = require("../engine/b.ts");',
  ])("sees %s", async (statement) => {
    expect(await find("rank", { "src/wire/a.ts": `\n${statement}\n`, "src/engine/b.ts": "" })).toEqual([
      "src/wire/a.ts:2",
    ]);
  });

  test.each([
    '// import "../engine/b.ts";',
    '/* import "../engine/b.ts"; */',
    'const text = `import "../engine/b.ts";`;',
    "const text = \"import('../engine/b.ts')\";",
  ])("does not see %s", async (text) => {
    expect(await find("rank", { "src/wire/a.ts": `${text}\n`, "src/engine/b.ts": "" })).toEqual([]);
  });
});

describe("banned-import", () => {
  test.each([
    ["src/engine/a.ts", "@electric-sql/pglite-socket"],
    ["src/trace/a.ts", "@electric-sql/pglite-socket"],
    ["src/transport/a.ts", "pglite-socket-stock"],
    ["src/transport/a.ts", "@electric-sql/pglite"],
    ["src/wire/a.ts", "@electric-sql/pglite/live"],
    ["src/system/a.ts", "@electric-sql/pglite"],
  ])("keeps %s from importing %s", async (path, name) => {
    expect(await find("banned-import", { [path]: `import type { X } from "${name}";\n` })).toEqual([`${path}:1`]);
  });

  test.each([
    ["src/transport/a.ts", "@electric-sql/pglite-socket"],
    ["src/trace/repro/a.ts", "pglite-socket-stock"],
    ["src/engine/thread/a.ts", "@electric-sql/pglite/contrib/amcheck"],
    ["src/sessions/rewrite/a.ts", "@electric-sql/pglite"],
    ["test/a.ts", "@electric-sql/pglite-socket"],
    ["scripts/bench/a.ts", "@electric-sql/pglite"],
  ])("lets %s import %s", async (path, name) => {
    expect(await find("banned-import", { [path]: `import "${name}";\n` })).toEqual([]);
  });
});
