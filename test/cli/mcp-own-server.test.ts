/** `pglite-devdb mcp` with a server of its own: its stdout, and its end. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { freePort } from "../../src/dev-db/servers/free-port.ts";
import { startDevDb } from "../../src/index.ts";
import { temporaryDirectory } from "../support/cli-process.ts";
import { query } from "../support/query.ts";
import { waitUntil } from "../support/wait-until.ts";
import { leftoversSql, spawnAgent } from "./support/mcp-process.ts";

test("without --url it has a server of its own, with the options of one; stdout has the protocol only", async () => {
  const cwd = temporaryDirectory();
  mkdirSync(join(cwd, "migrations"));
  writeFileSync(join(cwd, "migrations/1_people.sql"), "create table people as select 'Ada' as name");
  const seed = `import { Worker } from "node:worker_threads"; import { once } from "node:events";
    export default async function () { console.log("of a seed"); process.stdout.write("in parts\\n");
      await once(new Worker('console.log("of a thread")', { eval: true }), "exit"); }`;
  writeFileSync(join(cwd, "seed.mjs"), seed);
  const agent = spawnAgent(undefined, cwd, ["--setup", "echo of a setup", "--seed", "seed.mjs"]);
  expect(await agent.answered).toMatch(/people/);
  agent.child.stdin.end();
  expect(await agent.ended).toBe(0);
  for (const line of agent.stdout().trim().split("\n")) expect(JSON.parse(line)).toMatchObject({ jsonrpc: "2.0" });
  for (const text of ["of a setup", "of a seed\nin parts\n", "of a thread\n"]) expect(agent.stderr()).toContain(text);
});

/** A request to insert a text of that length. */
const insert = (bytes: number) => {
  const given = { sql: "select length($1::text) as long", parameters: ["x".repeat(bytes)] };
  return `${JSON.stringify({ jsonrpc: "2.0", id: 3, method: "tools/call", params: { name: "query", arguments: given } })}\n`;
};

test("a request of 12 MB is answered, and one that is too long ends it without leftovers", async () => {
  const db = await startDevDb({ port: 0, migrations: "none" });
  try {
    for (const url of [undefined, db.url]) {
      const agent = spawnAgent(url, undefined, url === undefined ? ["--migrations", "none"] : []);
      await agent.answered;
      agent.child.stdin.write(insert(12_000_000));
      await waitUntil("it is answered", () => agent.stdout().includes("12000000"));
      agent.child.stdin.on("error", () => {});
      agent.child.stdin.write(insert(70_000_000));
      expect(await agent.ended).toBe(1);
      expect(agent.stderr()).toMatch(/^pglite-devdb: mcp: a request is longer than 64 MiB$/m);
    }
    expect(await query(db.url, leftoversSql)).toEqual([]);
  } finally {
    await db.close();
  }
});

test("however it ends, in the directory of its own server nothing is left", { tags: "long" }, async () => {
  const db = join(temporaryDirectory(), "db");
  const sleep = { id: 3, method: "tools/call", params: { name: "query", arguments: { sql: "select pg_sleep(1000)" } } };
  const ways = [
    { signal: "SIGTERM", code: 143 },
    { signal: "SIGINT", code: 130, isBusy: true },
    { signal: undefined, code: 0, isBusy: true },
  ] as const;
  for (const { signal, code, ...way } of ways) {
    const port = await freePort();
    const agent = spawnAgent(undefined, undefined, ["--db", db, "--migrations", "none", "--port", `${port}`]);
    await agent.answered;
    if ("isBusy" in way) {
      agent.child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...sleep })}\n`);
      const sleeps = "select pid from pg_stat_activity where wait_event = 'PgSleep'";
      const url = `postgresql://postgres:postgres@127.0.0.1:${port}/postgres`;
      await waitUntil("the statement sleeps", async () => (await query(url, sleeps)).length === 1);
    }
    if (signal) agent.child.kill(signal);
    else agent.child.stdin.end();
    expect(await agent.ended, agent.stderr()).toBe(code);
    const server = await startDevDb({ db, port: 0, migrations: "none" });
    try {
      expect(await query(server.url, leftoversSql), signal).toEqual([]);
    } finally {
      await server.close();
    }
  }
});

test("a start that lasts does not outlive the session", async () => {
  const agent = spawnAgent(undefined, undefined, ["--migrations", "none", "--setup", "echo it lasts; sleep 1000"]);
  await expect.poll(agent.stderr).toContain("it lasts");
  agent.child.stdin.end();
  expect(await agent.ended).toBe(0);
});
