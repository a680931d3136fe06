/**
 * Many servers that start at once with one user's cache, which nobody has filled yet.
 *
 * @module-tag long
 */
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { requirePackage } from "../clients/support/npm-packages.ts";
import { runCli, temporaryDirectory } from "../support/cli-process.ts";
import { start, whole } from "./support/first-start.ts";

test("twenty do, each with a cluster of its own, and leave one of each file", async () => {
  const home = temporaryDirectory();
  const servers = await Promise.all(Array.from({ length: 20 }, () => start(home)));
  expect(new Set(servers.map(({ identifier }) => identifier)).size).toBe(20);
  await Promise.all(servers.map(({ end }) => end()));
  const kept = readdirSync(join(home, "pglite-devdb"));
  for (const name of kept) expect(name).toMatch(whole);
  for (const kind of ["cluster", "sessions"])
    expect(
      kept.filter((name) => name.startsWith(`${kind}-`)),
      kind,
    ).toHaveLength(1);
});

test.for(["Node 24", "Node 26"] as const)("sixteen times run, side by side, on %s", async (version, context) => {
  const node = join(requirePackage(context, version), "bin/node");
  const home = temporaryDirectory();
  const cwd = temporaryDirectory();
  const pg = new URL("../../node_modules/pg/lib/index.js", import.meta.url).href;
  writeFileSync(
    join(cwd, "client.mjs"),
    `import pg from ${JSON.stringify(pg)};
     const clients = await Promise.all([0, 1].map(async () => {
       const client = new pg.Client(process.env.DATABASE_URL);
       await client.connect();
       return client;
     }));
     await clients[0].query("create table t (n int)");
     await clients[1].query("insert into t values ($1)", [process.argv[2]]);
     console.log((await clients[0].query("select array_agg(n)::text as all from t")).rows[0].all);
     await Promise.all(clients.map((client) => client.end()));`,
  );
  const one = (number: number) =>
    runCli(["run", "--port", "0", "--log-level", "error", "--", node, "client.mjs", String(number)], {
      ...{ cwd, node },
      environment: { XDG_CACHE_HOME: home },
    });
  const ends = await Promise.all(Array.from({ length: 16 }, (_, number) => one(number)));
  expect(ends).toEqual(ends.map((_, number) => ({ code: 0, signal: null, stdout: `{${number}}\n`, stderr: "" })));
});
