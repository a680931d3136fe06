/** `pglite-devdb explore FILE`: the page's example, actors of every form, and what is said of a file that cannot be used. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { freePort } from "../../src/dev-db/servers/free-port.ts";
import { readScript } from "../../src/explore/script.ts";
import { runCli, temporaryDirectory } from "../support/cli-process.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/explore.md"), "utf8");

test("the page's example prints what the page says, and leaves a trace", async () => {
  const [, seed] = /```sql\n(-- seed\.sql\n.*?)```/s.exec(page)!;
  const [, race] = /```json\n(.*?)```/s.exec(page)!;
  const [, command, said] = /```console\n\$ npx pglite-devdb (.*?)\n(.*?)```/s.exec(page)!;
  const cwd = temporaryDirectory();
  writeFileSync(join(cwd, "seed.sql"), seed!);
  writeFileSync(join(cwd, "race.json"), race!);
  const end = await runCli([...command!.split(" "), "--port", "0", "--log-level", "error"], { cwd });
  expect(end).toMatchObject({ code: 1, stdout: said, stderr: "" });
  expect(existsSync(join(cwd, "race.trace"))).toBe(true);
});

test("a module, a command and a request, with the server that is asked", { tags: "long" }, async () => {
  const cwd = temporaryDirectory();
  const port = await freePort();
  const client = 'import { createRequire } from "node:module"; const pg = createRequire(process.env.ROOT)("pg");';
  const add = "update counters set n = n + 1 where id = 1";
  writeFileSync(
    join(cwd, "seed.sql"),
    "create table counters (id int primary key, n int); insert into counters values (1, 0)",
  );
  writeFileSync(
    join(cwd, "add.mjs"),
    `${client} const one = new pg.Client(process.env.DATABASE_URL); await one.connect(); await one.query("${add}"); await one.end();`,
  );
  writeFileSync(
    join(cwd, "server.mjs"),
    `${client} import { createServer } from "node:http";
     const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
     createServer(async (_, answer) => { await pool.query("${add}"); answer.end("ok"); }).listen(${port}, "127.0.0.1");`,
  );
  writeFileSync(
    join(cwd, "three.ts"),
    `type Sql = (text: TemplateStringsArray) => Promise<{ n: number }[]>;
     export default {
       server: "node server.mjs",
       actors: { ann: { run: "node add.mjs" }, bob: { request: "POST http://127.0.0.1:${port}/add", body: { n: 1 } }, cid: { sql: ["${add}"] } },
       invariant: async (sql: Sql) => (await sql\`select n from counters\`)[0]!.n === 3,
     };`,
  );
  const environment = { ROOT: import.meta.filename };
  const options = ["--port", "0", "--migrations", "none", "--seed", "seed.sql", "--log-level", "error"];
  const end = await runCli(["explore", ...options, "three.ts"], { cwd, environment });
  expect(end).toMatchObject({
    code: 0,
    stdout: "6 schedules pass (6 orders of the statements)\noutcomes:\n  6 × ann ok, bob ok, cid ok\n",
    stderr: "",
  });
});

const stage = { url: "", cwd: ".", environment: {}, onLine: () => {}, closers: [] };
const actors = { ann: { sql: ["select 1"] } };

test.each([
  [[], "race.json: the whole: an object with server, actors"],
  [{ actors, invariant: "select true", actor: 1 }, "race.json: actor: there is no such key; there are server, actors"],
  [{ invariant: "select true" }, 'race.json: actors: an object is needed: a name, and { "sql"'],
  [{ actors: { ann: "select 1" } }, 'race.json: actors.ann: "select 1" is none of { "sql": ["begin", …] }'],
  [{ actors: { ann: { sql: "select 1" } } }, "race.json: actors.ann: sql is a list of statements"],
  [{ actors: { ann: { sql: ["select 1"], body: 1 } } }, "race.json: actors.ann: "],
  [{ actors: { ann: { request: "buy" } } }, "race.json: actors.ann: request is a method and a URL"],
  [{ actors: { ann: { run: " " } } }, "race.json: actors.ann: run is a command for the shell"],
  [{ actors }, "race.json: invariant: a query that gives true or false is needed"],
  [{ actors, invariant: "select true", reset: 1 }, "race.json: reset: statements are needed"],
])("%j cannot be meant", (value, message) => {
  expect(() => readScript("race.json", value, stage)).toThrow(message);
});

test("a file that is not there, or is no JSON, is a usage error, and nothing is started", async () => {
  const cwd = temporaryDirectory();
  writeFileSync(join(cwd, "race.json"), '{ "actors": ');
  for (const [operands, message] of [
    [[], "explore: name the one file"],
    [["none.json"], "explore: there is no file none.json"],
    [["race.json"], "race.json: no JSON: "],
  ] as const)
    expect(await runCli(["explore", ...operands], { cwd })).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringContaining(message),
    });
});
