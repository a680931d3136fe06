/**
 * The same hundred tests with each way to give a test a database.
 *
 * Owns: what of a project differs from one way to the next: configuration, test files, what is installed. Does not own: the folder
 * and the runs (`project.ts`).
 * Invariant: what a test does is the same text for all; each way is as its own documentation shows it.
 */

/** One way. */
export interface Suite {
  readonly name: string;
  /** What is installed for it beside vitest and pg. */
  readonly packages: readonly string[];
  /** Of vitest's configuration. */
  readonly config: string;
  /** Other files that it needs, by their names. */
  readonly files?: Readonly<Record<string, string>>;
  /** Above the tests of a file. */
  readonly imports: string;
  readonly setUp: string;
  /** How a test is begun, and what it has as `client` then. */
  readonly test: (body: string) => string;
}

/** What is migrated: as much as a small application has. */
export const migration = Array.from(
  { length: 20 },
  (_, i) =>
    `create table t${i} (id int generated always as identity primary key, name text not null unique, at timestamptz default now());\n` +
    `create index on t${i} (at);\n`,
).join("");
/** What is seeded. */
export const seed = "insert into t0 (name) values ('Ada');\n";

const count = `(await client.query("select count(*)::int as count from t0")).rows[0].count`;
const body = `expect(${count}).toBe(1);
  await client.query("insert into t0 (name) values ('Grace')");
  expect(${count}).toBe(2);`;

const withUrl = (url: string) => (text: string) =>
  `test.each(numbers)("%i", async () => {
  const client = new pg.Client(${url});
  await client.connect();
  ${text}
  await client.end();
});`;

const ours: Suite = {
  name: "pglite-devdb",
  packages: ["pglite-devdb"],
  config: `plugins: [devDb({ migrations: "./migrations", seed: "seed.sql" })],`,
  imports: `import { useDatabase } from "pglite-devdb/vitest";`,
  setUp: "const db = useDatabase();",
  test: withUrl("db.url"),
};

const bridge = (scope: "test" | "file", name: string): Suite => ({
  name: `prisma-pglite-bridge, ${name}`,
  packages: ["prisma-pglite-bridge", "@prisma/adapter-pg", "@electric-sql/pglite"],
  config: "",
  imports: `import { readFileSync } from "node:fs";\nimport { createPoolTest } from "prisma-pglite-bridge/pool/vitest";`,
  setUp: `const test = createPoolTest({
  scope: "${scope}",
  setup: async ({ pool }) => { await pool.query(readFileSync("migrations/1_tables.sql", "utf8")); },
  client: (pool) => pool,
  seed: async (pool) => { await pool.query(readFileSync("seed.sql", "utf8")); },
});`,
  test: (text) => `for (const n of numbers) test(\`\${n}\`, async ({ client }) => {\n  ${text}\n});`,
});

const template: Suite = {
  name: "PostgreSQL, CREATE DATABASE … TEMPLATE",
  packages: [],
  config: `test: { globalSetup: ["./make-template.js"] },`,
  files: {
    "make-template.js": `import { readFileSync } from "node:fs";
import pg from "pg";
export default async function makeTemplate() {
  const admin = new pg.Client(process.env.ADMIN_URL);
  await admin.connect();
  await admin.query("drop database if exists made");
  await admin.query("create database made");
  await admin.end();
  const made = new pg.Client(process.env.ADMIN_URL.replace(/[^/]*$/, "made"));
  await made.connect();
  for (const file of ["migrations/1_tables.sql", "seed.sql"]) await made.query(readFileSync(file, "utf8"));
  await made.end();
}
`,
  },
  imports: `import { randomUUID } from "node:crypto";\nimport { afterAll, afterEach, beforeAll, beforeEach } from "vitest";`,
  setUp: `const admin = new pg.Client(process.env.ADMIN_URL);
let name, url;
beforeAll(() => admin.connect());
beforeEach(async () => {
  name = "test_" + randomUUID().replaceAll("-", "");
  await admin.query("create database " + name + " template made");
  url = process.env.ADMIN_URL.replace(/[^/]*$/, name);
});
afterEach(() => admin.query("drop database " + name + " with (force)"));
afterAll(() => admin.end());`,
  test: withUrl("url"),
};

const none: Suite = {
  name: "no database: vitest itself",
  packages: [],
  config: "",
  imports: "",
  setUp: "",
  test: () => `test.each(numbers)("%i", () => expect(1).toBe(1));`,
};

/** All of them, in the order of the table. */
export const suites = {
  ours,
  "bridge-test": bridge("test", "a PGlite for each test"),
  "bridge-file": bridge("file", "one for each file, reset"),
  template,
  none,
} as const satisfies Record<string, Suite>;

/** The name of one on the command line. */
export type SuiteName = keyof typeof suites;

/** The text of a test file. */
export function testFile({ imports, setUp, test }: Suite, tests: number): string {
  const ownTest = setUp.includes("const test =") ? "expect" : "expect, test";
  return [
    `import pg from "pg";\nimport { ${ownTest} } from "vitest";\n${imports}\n`,
    setUp,
    `const numbers = Array.from({ length: ${tests} }, (_, i) => i);`,
    test(body),
    "",
  ].join("\n");
}

/** How many lines somebody has to write for it once, imports apart. */
export function setUpLines({ config, files = {}, setUp }: Suite): number {
  return [config, setUp, ...Object.values(files)]
    .flatMap((text) => text.split("\n"))
    .filter((line) => line.trim() !== "" && !line.startsWith("import ")).length;
}
