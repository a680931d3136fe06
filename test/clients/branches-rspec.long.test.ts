/**
 * parallel_tests of RSpec with `--branches on`: a database for each process by nothing but its URL, in the project test/runners/rspec.
 *
 * @module-tag long
 */
import { join } from "node:path";
import postgres from "postgres";
import { expect, test } from "vitest";
import { requireClient } from "./support/installed.ts";
import { run } from "./support/run-program.ts";
import { root, startOurs } from "./support/server-process.ts";

const runners = join(root, "test/runners");

test("each of four processes has a branch of its own, which begins with what was migrated and seeded", async (context) => {
  requireClient(context, "parallel_rspec");
  const project = ["--migrations", join(runners, "migrations"), "--seed", join(runners, "seed.sql")];
  const server = await startOurs(["--branches", "on", ...project]);
  try {
    const env = { DATABASE_URL: server.url };
    const ended = await run("parallel_rspec", ["-n", "4", "spec"], { cwd: join(runners, "rspec"), env });
    expect(ended.stdout, ended.all).toMatch(/^12 examples, 0 failures$/m);
    expect(ended.code).toBe(0);
    const sql = postgres(server.url, { max: 1 });
    const branches =
      await sql`select datname from pg_database where datname like '%~%' and datname !~ '~ready:' order by 1`;
    expect(branches.map(({ datname }) => datname)).toEqual(["", 2, 3, 4].map((process) => `postgres~w${process}`));
    await sql.end();
    await server.expectHealthy();
  } finally {
    await server.stop();
  }
});
