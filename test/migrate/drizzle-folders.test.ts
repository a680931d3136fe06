/**
 * drizzle-kit 1.0's folders: the same rule and the same ledger as drizzle-orm 1.0's own migrator, which runs here in process on the
 * same PGlite.
 */
import type { PGlite } from "@electric-sql/pglite";
import { drizzle as drizzleOrm0 } from "drizzle-orm/pglite";
import { migrate as migrateWith0 } from "drizzle-orm/pglite/migrator";
import { drizzle as drizzleOrm } from "drizzle-orm-1/pglite";
import { migrate } from "drizzle-orm-1/pglite/migrator";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { DrizzleSource } from "../../src/migrate/migration.ts";
import { createEngine } from "../support/engines.ts";
import { addFiles, apply, applyFailing, drizzle, emptyDatabase, folder, rowsOf, tablesOf } from "./fixtures.ts";

const LEDGER = "SELECT id, hash, created_at, name FROM drizzle.__drizzle_migrations ORDER BY id";
const COLUMNS = `SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns
  WHERE table_schema = 'drizzle' ORDER BY ordinal_position`;

let pglite: PGlite;
beforeAll(async () => {
  pglite = await createEngine();
});
afterAll(() => pglite?.close());
beforeEach(() => emptyDatabase(pglite));

const filesOf = (migrations: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(migrations).flatMap(([name, sql]) => [
      [`${name}/migration.sql`, sql],
      [`${name}/snapshot.json`, "{}"],
    ]),
  );
const folders = (migrations: Record<string, string>): DrizzleSource => ({
  kind: "drizzle-folders",
  directory: folder(filesOf(migrations)),
  ledger: { schema: "drizzle", table: "__drizzle_migrations" },
});
const migrateWithDrizzleOrm = (directory: string) =>
  migrate(drizzleOrm({ client: pglite }), { migrationsFolder: directory });

const a = { "20260101120000_a": "create table a (x int);--> statement-breakpoint\ncreate index on a (x);" };
const b = { "20260102120000_b": "create table b (x int)" };
const c = { "20260103120000_c": "create table c (x text default 'é😀');\r\n" };

describe("taking turns with drizzle-orm 1.0's migrator", () => {
  it("a database that either has made is finished for the other", async () => {
    const source = folders({ ...a, ...b, ...c });
    expect(await apply(pglite, source)).toEqual({
      applied: Object.keys({ ...a, ...b, ...c }),
      alreadyApplied: 0,
      log: [],
    });
    const ours = [...(await rowsOf(pglite, LEDGER)), ...(await rowsOf(pglite, COLUMNS)), ...(await tablesOf(pglite))];
    await migrateWithDrizzleOrm(source.directory);
    expect(await rowsOf(pglite, LEDGER)).toEqual(ours.slice(0, 3));

    await emptyDatabase(pglite);
    await migrateWithDrizzleOrm(source.directory);
    expect([
      ...(await rowsOf(pglite, LEDGER)),
      ...(await rowsOf(pglite, COLUMNS)),
      ...(await tablesOf(pglite)),
    ]).toEqual(ours);
    expect(await apply(pglite, source)).toEqual({ applied: [], alreadyApplied: 3, log: [] });
  });

  it("what is not in the ledger by its name is applied, also when it is older than what is", async () => {
    const outcome: string[][] = [];
    for (const source of [folders({ ...a, ...c }), folders({ ...a, ...c })]) {
      await emptyDatabase(pglite);
      await migrateWithDrizzleOrm(source.directory);
      addFiles(source.directory, filesOf(b));
      if (outcome.length === 0) await migrateWithDrizzleOrm(source.directory);
      else expect((await apply(pglite, source)).applied).toEqual(Object.keys(b));
      outcome.push([...(await rowsOf(pglite, LEDGER)), ...(await tablesOf(pglite))]);
    }
    expect(outcome[1]).toEqual(outcome[0]);
  });
});

describe("a ledger of drizzle-orm 0.x", () => {
  /** Applied with a journal; the folders are what \`drizzle-kit up\` makes of it. */
  const older = async (): Promise<void> => {
    const tags = { "0000_a": Object.values(a)[0]!, "0001_b": Object.values(b)[0]! };
    const source = drizzle(tags, [Date.UTC(2026, 0, 1, 12) + 345, Date.UTC(2026, 0, 2, 12) + 999]);
    await migrateWith0(drizzleOrm0(pglite), { migrationsFolder: source.directory });
  };

  it("gets the names of its migrations, as drizzle-orm 1.0 does it", async () => {
    const outcome: string[][] = [];
    for (const source of [folders({ ...a, ...b, ...c }), folders({ ...a, ...b, ...c })]) {
      await emptyDatabase(pglite);
      await older();
      if (outcome.length === 0) await migrateWithDrizzleOrm(source.directory);
      else expect((await apply(pglite, source)).applied).toEqual(Object.keys(c));
      const applied = "SELECT applied_at IS NULL FROM drizzle.__drizzle_migrations ORDER BY id";
      outcome.push([
        ...(await rowsOf(pglite, LEDGER)),
        ...(await rowsOf(pglite, applied)),
        ...(await tablesOf(pglite)),
      ]);
    }
    expect(outcome[1]).toEqual(outcome[0]);
  });

  it("with a row of no folder is an error, and stays as it is", async () => {
    await older();
    const { message } = await applyFailing(pglite, folders({ ...a, ...c }));
    expect(message).toContain("its rows with the ids 2 are of no migration in the folder");
    await expect(migrateWithDrizzleOrm(folders({ ...a, ...c }).directory)).rejects.toThrow(
      /do not match any local migration/,
    );
    expect(await rowsOf(pglite, "SELECT * FROM drizzle.__drizzle_migrations WHERE id = 2")).toHaveLength(1);
  });
});

it("says what drizzle-orm passes over in silence", async () => {
  const source = folders({ ...a, ...b });
  await apply(pglite, source);
  const changed = folders({ [Object.keys(a)[0]!]: "create table a (x int, y int);" });
  const { applied, log } = await apply(pglite, changed);
  expect(applied).toEqual([]);
  expect(log).toEqual([
    expect.stringMatching(/20260101120000_a.migration\.sql was changed after it was applied/),
    expect.stringMatching(/the migration 20260102120000_b is applied to the database but missing from/),
  ]);
});

it("a folder whose name has no time is refused by name", async () => {
  const { message } = await applyFailing(pglite, folders({ ...a, first: "select 1" }));
  expect(message).toMatch(/first.migration\.sql: the name of its folder does not begin with a time/);
});

it("one that fails is undone, and those before it stay", async () => {
  const { message } = await applyFailing(
    pglite,
    folders({ ...a, "20260104000000_bad": "create table d (x int);--> statement-breakpoint\nselect 1/0" }),
  );
  expect(message).toContain("Nothing of 20260104000000_bad was applied.");
  expect(await tablesOf(pglite)).toEqual(["a"]);
  expect(await rowsOf(pglite, "SELECT name FROM drizzle.__drizzle_migrations")).toEqual(Object.keys(a));
});
