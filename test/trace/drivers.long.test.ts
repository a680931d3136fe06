/**
 * What drivers say under a mixed load over several connections comes again on a new server of ours: node-postgres, postgres.js, psycopg 3 and JDBC.
 *
 * @module-tag long
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import postgres from "postgres";
import { afterAll, expect, test } from "vitest";
import { startDevDb } from "../../src/index.ts";
import { compileJava, expectRight, javaProgram, pythonProgram } from "../clients/support/check-program.ts";
import { requireClient } from "../clients/support/installed.ts";
import { runCli } from "../support/cli-process.ts";

const directory = mkdtempSync(join(tmpdir(), "pglite-devdb-drivers-"));
afterAll(() => rmSync(directory, { recursive: true }));
const clients = 4;

/** Records what `load` does, finds nothing wrong in it, and plays it to a new server. */
async function comesAgain(name: string, load: (url: string) => Promise<void>): Promise<void> {
  const file = join(directory, `${name}.trace`);
  const db = await startDevDb({ port: 0, migrations: "none", trace: file });
  await load(db.url).finally(() => db.close());
  const checked = await runCli(["trace", "check", file]);
  expect(checked, checked.stdout).toMatchObject({ code: 0, stderr: "" });
  const replayed = await runCli(["trace", "replay", file, "--against", "isolated"]);
  expect(replayed, replayed.stdout).toMatchObject({ code: 0, stderr: "" });
}

test("node-postgres: a pool with named statements, transactions, errors and notifications", async () => {
  await comesAgain("pg", async (connectionString) => {
    const pool = new pg.Pool({ connectionString, max: clients });
    try {
      await pool.query("create table t (id int primary key, who int, note text)");
      const work = async (who: number): Promise<void> => {
        const client = await pool.connect();
        try {
          await client.query(`listen c${who}`);
          for (let n = 0; n < 20; n++) {
            const id = who * 1000 + n;
            await client.query(n % 2 ? "begin" : "begin isolation level repeatable read");
            await client.query({
              name: "put",
              text: "insert into t values ($1, $2, $3)",
              values: [id, who, `note ${id}`],
            });
            if (n % 5 === 0) await expect(client.query("select 1 / $1::int", [0])).rejects.toThrow(/zero/);
            await client.query(n % 5 === 0 ? "rollback" : "commit");
            const { rows } = await client.query({
              name: `of ${who}`,
              text: "select id, note from t where who = $1 order by id",
              values: [who],
            });
            expect(rows).toHaveLength(n - Math.floor(n / 5));
            await client.query(`notify c${who}, '${n}'`);
          }
        } finally {
          client.release();
        }
      };
      await Promise.all(Array.from({ length: clients }, (_, who) => work(who)));
    } finally {
      await pool.end();
    }
  });
});

test("postgres.js: a pool with pipelines, cursors and nested transactions", async () => {
  await comesAgain("postgres-js", async (url) => {
    const sql = postgres(url, { max: clients, onnotice: () => {} });
    try {
      await sql`create table t (id int primary key, who int, note text)`;
      const work = async (who: number): Promise<void> => {
        for (let n = 0; n < 20; n++) {
          const id = who * 1000 + n;
          const rows = [
            { id, who, note: `note ${id}` },
            { id: id + 500, who, note: "second" },
          ];
          await sql.begin(async (own) => {
            await own`insert into t ${own(rows)}`;
            await own
              .savepoint(async (inner) => {
                await inner`insert into t ${inner(rows)}`;
              })
              .catch((error: Error) => expect(error.message).toMatch(/duplicate/));
            const all = await Promise.all([own`select count(*)::int as n from t where who = ${who}`, own`select 1`]);
            expect(all[0]).toEqual([{ n: 2 * n + 2 }]);
          });
          for await (const part of sql`select id from t where who = ${who} order by id`.cursor(7)) {
            expect(part.length).toBeGreaterThan(0);
          }
        }
      };
      await Promise.all(Array.from({ length: clients }, (_, who) => work(who)));
    } finally {
      await sql.end();
    }
  });
});

test.for([
  ["names", 480],
  ["pipeline", 1212],
  ["copy", 48],
  ["transactions", 271],
] as const)("psycopg 3: %s", async ([name, checked], context) => {
  requireClient(context, "psycopg 3");
  const program = pythonProgram("with_psycopg.py");
  await comesAgain(`psycopg-${name}`, async (url) => expectRight(await program(name, url, 6), name, checked));
});

test.for([
  ["names", 480],
  ["batches", 36],
  ["copy", 42],
  ["transactions", 242],
] as const)("JDBC: %s", async ([name, checked], context) => {
  requireClient(context, "JDBC");
  await compileJava(directory);
  const program = javaProgram(directory);
  await comesAgain(`jdbc-${name}`, async (url) => expectRight(await program(name, url, 6), name, checked));
});
