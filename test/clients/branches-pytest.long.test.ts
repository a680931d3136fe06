/**
 * pytest-xdist with `--branches on`: a database for each worker by nothing but its URL, in the project test/runners/pytest.
 *
 * @module-tag long
 */
import { join } from "node:path";
import postgres from "postgres";
import { expect, test } from "vitest";
import { python, requireClient } from "./support/installed.ts";
import { run } from "./support/run-program.ts";
import { root, startOurs } from "./support/server-process.ts";

const runners = join(root, "test/runners");

test("each of four workers has a branch of its own, which begins with what was migrated and seeded", async (context) => {
  requireClient(context, "pytest-xdist");
  const project = ["--migrations", join(runners, "migrations"), "--seed", join(runners, "seed.sql")];
  const server = await startOurs(["--branches", "on", "--database", "app", ...project]);
  try {
    // Nothing is written to the checkout.
    const quiet = ["-B", "-m", "pytest", "-p", "no:cacheprovider"];
    const ended = await run(python, [...quiet, "-n", "4", join(runners, "pytest")], {
      env: { DATABASE_URL: server.url },
    });
    expect(ended.stdout, ended.all).toMatch(/^=+ 40 passed/m);
    expect(ended.code).toBe(0);
    const sql = postgres(server.url, { max: 1 });
    const branches =
      await sql`select datname from pg_database where datname like 'app~%' and datname !~ '~ready:' order by 1`;
    expect(branches.map(({ datname }) => datname)).toEqual(["app~gw0", "app~gw1", "app~gw2", "app~gw3"]);
    expect(await sql`select name::text from people`).toEqual([{ name: "Ada" }]);
    await sql.end();
    await server.expectHealthy();
  } finally {
    await server.stop();
  }
});
