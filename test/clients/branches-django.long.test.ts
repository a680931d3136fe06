/**
 * Django's `test --parallel`, on a branch and on the database itself, in the project test/runners/django.
 *
 * @module-tag long
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { temporaryDirectory } from "../support/cli-process.ts";
import { python, requireClient } from "./support/installed.ts";
import { run } from "./support/run-program.ts";
import { root, type ServerProcess, startOurs } from "./support/server-process.ts";

let server: ServerProcess;
beforeAll(async () => {
  server = await startOurs(["--branches", "on", "--database", "app"]);
});
beforeEach((context) => requireClient(context, "Django"));
afterEach(() => server.expectHealthy());
afterAll(() => server?.stop());

test.each(["app", "app~feature"])(
  "of %s: each of four processes has a copy of what Django has migrated",
  async (name) => {
    const seen = join(temporaryDirectory(), "seen");
    const url = server.url.replace(/app$/, name);
    const command = ["-B", "-m", "django", "test", "--parallel", "4", "--noinput", "--settings", "settings"];
    const project = join(root, "test/runners/django");
    const ended = await run(python, command, { cwd: project, env: { DATABASE_URL: url, DATABASES_SEEN: seen } });
    expect(ended.stderr, ended.all).toMatch(/^Ran 9 tests in .*\n\nOK$/m);
    expect(ended.code).toBe(0);
    expect(ended.all.match(/^Cloning test database/gm)).toHaveLength(4);
    const databases = readFileSync(seen, "utf8").trim().split("\n");
    expect(databases).toHaveLength(4);
    for (const database of databases) expect(database).toMatch(new RegExp(`^test_${name}_[1-4]$`));
    const sql = postgres(url, { max: 1 });
    expect(await sql`select datname from pg_database where datname like 'test%'`).toEqual([]);
    await sql.end();
  },
);
