/**
 * Extensions whose libraries PostgreSQL has to have from its start on: both at once, and nothing of the directory changes for them.
 *
 * @module-tag long
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { beforeAll, expect, test } from "vitest";
import { startCli } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";

beforeAll(initializeTemplate);

test("they are loaded, and postgresql.conf stays as its user wrote it", async () => {
  const db = initializedDirectory();
  const configuration = join(db, "postgresql.conf");
  const written = `${readFileSync(configuration, "utf8")}\nwork_mem = '9MB' # mine\n`;
  writeFileSync(configuration, written);
  const named = ["pg_stat_statements", "pg_textsearch", "auto_explain"].flatMap((name) => ["-e", name]);
  const cli = startCli(["--port", "0", "-o", "json", "--db", db, ...named]);
  const { url } = JSON.parse((await cli.line(/^.*\n/))[0]!);
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  expect(await sql`show work_mem`).toEqual([{ work_mem: "9MB" }]);
  expect(await sql`show default_text_search_config`).toEqual([{ default_text_search_config: "pg_catalog.english" }]);
  await sql`create extension pg_stat_statements`;
  await sql`create extension pg_textsearch`;
  // It has no extension's script; it is a module that a session may ask for.
  await sql`load 'auto_explain'`;
  expect(await sql`select count(*) > 0 as counts from pg_stat_statements`).toEqual([{ counts: true }]);
  await sql.end();
  cli.child.kill("SIGTERM");
  await cli.ended;
  expect(readFileSync(configuration, "utf8")).toBe(written);
});
