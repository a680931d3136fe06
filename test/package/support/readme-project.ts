/**
 * The project in which the README's commands are typed: a migration, a seed, and tests that find the migrated row.
 *
 * Owns: its files. Does not own: what is typed there (`readme.ts`), what is installed.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What the project's own tests are. */
const check = `import pg from "pg";
const client = new pg.Client(process.env.DATABASE_URL);
await client.connect();
const { rows } = await client.query("select n from answer");
console.log(process.version, "found", rows[0].n, (await client.query("show ssl")).rows[0].ssl);
await client.end();
`;

/** Writes it into an empty folder. */
export function writeReadmeProject(folder: string): void {
  mkdirSync(join(folder, "migrations"));
  const files = {
    "package.json": JSON.stringify({ type: "module", scripts: { test: "node check.js" } }),
    "migrations/1_answer.sql": "create table answer as select 42 as n;",
    "seed.sql": "insert into answer values (43);",
    "check.js": check,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
}
