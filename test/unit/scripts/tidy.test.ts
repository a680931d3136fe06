import { describe, expect, test } from "vitest";
import { formatFinding } from "../../../scripts/tidy/finding.ts";
import { check, find, findings, header, lines, useParser } from "../../support/tidy-findings.ts";

useParser();

/** A word that must not stand in a comment, nor be spelled in this file's. */
const later = ["TO", "DO"].join("");

describe("a tree without findings", () => {
  const texts = {
    "src/index.ts": `${header}export { start } from "./dev-db.ts";\n`,
    "src/dev-db.ts": `${header}import { listen } from "./transport/listen.ts";\n/** Starts it. */\nexport const start = () => listen;\n`,
    "src/transport/listen.ts": `${header}import "@electric-sql/pglite-socket";\n/** Listens. */\nexport function listen() {}\n`,
    "test/listen.test.ts": `import { listen } from "../src/transport/listen.ts";\nlisten();\n`,
    "README.md": "# A project\n",
  };

  test("has a summary of its sizes", async () => {
    expect(await check(texts)).toEqual({
      findings: [],
      summary: "4 files, median 8 lines, longest 8 (src/transport/listen.ts)",
    });
  });

  test("may be empty", async () => {
    expect(await check({})).toEqual({ findings: [], summary: "0 files" });
  });
});

test("a finding is one line with its place, its rule, what is wrong and what to do instead", async () => {
  const [finding] = await findings("docstring", { "src/wire/a.ts": "\nexport const a = 1;\n" });
  expect(formatFinding(finding!)).toBe(
    "src/wire/a.ts:2  docstring  `a` has no docstring of its own  say its contract in a /** comment */ right above it",
  );
});

test("findings come in the order of paths and lines", async () => {
  const texts = { "src/wire/b.ts": "", "src/wire/a.ts": "\nexport const a = 1;\n", "src/engine/c.ts": "" };
  const places = (await check(texts)).findings.map(({ path, line, rule }) => [path, line, rule]);
  expect(places).toEqual([
    ["src/engine/c.ts", 1, "header"],
    ["src/wire/a.ts", 1, "header"],
    ["src/wire/a.ts", 2, "dead-export"],
    ["src/wire/a.ts", 2, "docstring"],
    ["src/wire/b.ts", 1, "header"],
  ]);
});

describe("file-size", () => {
  test("is at most 400 lines", async () => {
    const sized = (count: number) => find("file-size", { "test/a.ts": lines(count) });
    expect(await sized(400)).toEqual([]);
    expect(await sized(401)).toEqual(["test/a.ts:401"]);
    expect(await find("file-size", { "test/a.ts": `${lines(400)}const last = 1;` })).toEqual(["test/a.ts:401"]);
    expect(await find("file-size", { "migrations/a.ts": lines(401) })).toEqual([]);
  });
});

describe("function-size", () => {
  const body = (count: number) => `{\n${lines(count - 2)}}`;

  test.each([
    ["function a() ", ""],
    ["const a = () => ", ""],
    ["const a = function () ", ""],
    ["class A {\n  constructor() ", "}"],
    ["class A {\n  a() ", "}"],
    ["class A {\n  get a() ", "}"],
    ["const a = {\n  a() ", "}"],
    ["test('a', async () => ", ")"],
  ])("is at most 70 lines: %j", async (before, after) => {
    const line = before.split("\n").length;
    const sized = (count: number) => find("function-size", { "test/a.ts": `${before}${body(count)}${after}\n` });
    expect(await sized(70)).toEqual([]);
    expect(await sized(71)).toEqual([`test/a.ts:${line}`]);
  });

  test("does not count a docstring, and names the function", async () => {
    const text = `/**\n${lines(9, " * A.")} */\nexport const longOne = () => ${body(71)};\n`;
    expect(await findings("function-size", { "src/wire/a.ts": text })).toMatchObject([
      { line: 12, what: "longOne has 71 lines, the limit is 70" },
    ]);
    expect(await find("function-size", { "src/wire/a.ts": text.replace(body(71), body(70)) })).toEqual([]);
  });

  test.each(["describe('a', ", "describe.skipIf(isSlow)('a', ", "describe.each([1, 2])('a %d', "])(
    "does not apply to the group of tests in %s",
    async (before) => {
      expect(await find("function-size", { "test/a.ts": `${before}() => ${body(71)});\n` })).toEqual([]);
      expect(await find("function-size", { "src/wire/a.ts": `${before}() => ${body(71)});\n` })).toEqual([
        "src/wire/a.ts:1",
      ]);
    },
  );
});

test.each([
  "src/wire/utils.ts",
  "src/util/a.ts",
  "scripts/test-helpers.ts",
  "test/helper/a.test.ts",
  "src/common/a.ts",
  "src/engine/session-manager.ts",
  "src/engine/Manager.ts",
])("banned-name: %s", async (path) => {
  expect(await find("banned-name", { [path]: "" })).toEqual([`${path}:1`]);
});

test.each(["src/wire/utility-function.ts", "src/engine/uncommon.ts", "utils.ts"])(
  "banned-name does not apply to %s",
  async (path) => {
    expect(await find("banned-name", { [path]: "" })).toEqual([]);
  },
);

describe("header", () => {
  const comment = (count: number) => `/**\n${lines(count, " * Text.")} */\n`;

  test.each([
    ["nothing", ""],
    ["code", `const a = 1;\n${comment(5)}`],
    ["a comment of two lines", comment(2)],
    ["a comment of sixteen lines", comment(16)],
    ["a comment that is mostly blank", "/**\n *\n * Text.\n *\n */\n"],
    ["two lines apart from others", `${lines(2, "// Text.")}\n${lines(3, "// Text.")}`],
  ])("is not %s", async (_what, text) => {
    expect(await find("header", { "src/wire/a.ts": text })).toEqual(["src/wire/a.ts:1"]);
    expect(await find("header", { "scripts/a.ts": text })).toEqual(["scripts/a.ts:1"]);
    expect(await find("header", { "test/a.ts": text })).toEqual([]);
  });

  test.each([
    ["a comment of three lines", comment(3)],
    ["a comment of fifteen lines", comment(15)],
    ["a comment with a blank line between", "/**\n * Text.\n *\n * Text.\n */\n"],
    ["three lines of comment", lines(3, "// Text.")],
    ["a comment after the line that names the interpreter", `#!/usr/bin/env node\n${comment(3)}`],
  ])("is %s", async (_what, text) => {
    expect(await find("header", { "src/wire/a.ts": text })).toEqual([]);
  });
});

describe("marker", () => {
  test.each([`// ${later}: finish it`, `/* FIX${"ME"} */`, `/**\n * X${"XX"}\n */`, `const a = 1; // HA${"CK"}`])(
    "is %j",
    async (text) => {
      expect(await findings("marker", { "test/a.ts": `\n${text}\n` })).toMatchObject([
        { line: text.includes("\n") ? 3 : 2 },
      ]);
    },
  );

  test.each([
    `const a = "// ${later}";`,
    `const a = \`// ${later} \${b /* fine */} // ${later}\`;`,
    `const a = /[//] ${later}/;`,
    `const ${later} = 1;`,
    "// todo lists are what this application is about",
  ])("is not %j", async (text) => {
    expect(await find("marker", { "test/a.ts": `${text}\n` })).toEqual([]);
  });
});

describe("commented-out-code", () => {
  test.each([
    "const answer = 42;",
    "let rows = [",
    "export const rows = read(x) => {",
    'import { a } from "./a.ts";',
    "export type A = 1;",
    "return;",
    "return await this.#read(socket);",
    'throw new Error("no");',
    "if (socket.destroyed) return;",
    "for (const row of rows) {",
    "} else {",
    "} catch (error) {",
    "});",
    "socket.end();",
    "await sql.end({ timeout: 5 });",
    "void this.#start().catch(log);",
    "this.#count += 1;",
    "async function start() {",
    "class Server extends Base {",
    'test("works", async () => {',
  ])("is %s", async (code) => {
    expect(await find("commented-out-code", { "test/a.ts": `\n// ${code}\n` })).toEqual(["test/a.ts:2"]);
    expect(await find("commented-out-code", { "test/a.ts": `/*\n * Before:\n * ${code}\n */\n` })).toEqual([
      "test/a.ts:3",
    ]);
  });

  test.each([
    "The socket is gone by now;",
    "if the client went away;",
    "return the buffer to its pool;",
    "for each row (there are many);",
    "`socket.end()` would wait for the answer.",
    "await is needed here: the second caller must not overtake;",
    "length = 4 + body (the type byte is not counted)",
    "See https://www.postgresql.org/docs/18/protocol.html;",
    "class and function are keywords;",
    "import what is needed, export the rest;",
    "biome-ignore lint/suspicious/noConsole: it is what the command prints",
    "@ts-expect-error: a wrong type on purpose",
  ])("is not: %s", async (prose) => {
    expect(await find("commented-out-code", { "src/wire/a.ts": `// ${prose}\n` })).toEqual([]);
  });

  test("is not an example in a docstring", async () => {
    expect(await find("commented-out-code", { "src/wire/a.ts": "/**\n * const a = 1;\n */\n" })).toEqual([]);
  });
});

describe("machine-path and registry-address", () => {
  const path = (...parts: string[]) => `/${parts.join("/")}`;

  test.each([
    `see ${path("work", "main")}`,
    `"${path("tmp", "scratch", "a.txt")}"`,
    `file://${path("home", "someone", "project")}`,
    `(${path("Users", "someone", "x")})`,
    `cd ${path("root", "x")}`,
  ])("find the path in: %s", async (text) => {
    expect(await find("machine-path", { "notes.md": `\n${text}\n` })).toEqual(["notes.md:2"]);
  });

  test.each([
    "a framework/work/in-progress",
    "https://example.org/work/a",
    "**/work/**",
    "/tmp/.s.PGSQL.5432",
    "/home",
    "~/work/",
  ])("find no path in: %s", async (text) => {
    expect(await find("machine-path", { "notes.md": `${text}\n` })).toEqual([]);
  });

  const host = (name: string) => `https://${name}.example.org/npm`;
  test.each([
    `npm ci --registry ${host("registry")}`,
    host("user@my-artifactory"),
    `"resolved": "${["https:", "", "example.org", "a.tgz"].join("/")}"`,
    ["registry", "http://127.0.0.1:4873"].join("="),
    ["@scope:registry ", " http://127.0.0.1:4873"].join("="),
  ])("find the address in: %s", async (text) => {
    expect(await find("registry-address", { "package-lock.json": `{\n${text}\n}` })).toEqual(["package-lock.json:2"]);
  });

  test.each([
    "https://www.npmjs.com/package/pglite-devdb",
    "const registry = new Map();",
    "https://github.com/a/registry",
  ])("find no address in: %s", async (text) => {
    expect(await find("registry-address", { "src/wire/a.ts": `${text}\n` })).toEqual([]);
  });
});

test("syntax: a file that cannot be parsed is a finding", async () => {
  expect(await find("syntax", { "src/wire/a.ts": "\nconst = 1;\n" })).toEqual(["src/wire/a.ts:2"]);
});

test("positions are right behind characters of every width", async () => {
  const text = `const a = "é😀"; const b = \`漢\`; // 漢字\n// ${later}\nexport const c = 1;\n`;
  expect(await find("marker", { "scripts/a.ts": text })).toEqual(["scripts/a.ts:2"]);
  expect(await find("docstring", { "scripts/a.ts": text })).toEqual(["scripts/a.ts:3"]);
});
