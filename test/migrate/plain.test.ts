/** Folders of plain SQL, and SQL seeds: both have this project's own ledger. */
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { openEngine } from "../../src/engine/kept-engine.ts";
import { applySeed, functionSeed, isNewCodeSeed, moduleSeed, recordCodeSeed } from "../../src/migrate/index.ts";
import { addFiles, apply, applyFailing, emptyDatabase, folder, plain, rowsOf, tablesOf } from "./fixtures.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine({ dataDir: "memory://", extensions: [] });
});
afterAll(() => engine?.close());
beforeEach(() => emptyDatabase(engine));

describe("plain SQL files", () => {
  const files = {
    "1_a.sql": "create table a (x int);",
    "2_b.sql": "create table b (x int); -- é\n",
    "10_c.sql": "insert into a values (10); insert into b values (10);",
    "10_c.down.sql": "drop table a, b;",
    "readme.md": "nothing",
  };

  it("are applied in natural name order, and only once", async () => {
    const source = plain(files);
    expect(await apply(engine, source)).toEqual({
      applied: ["1_a.sql", "2_b.sql", "10_c.sql"],
      alreadyApplied: 0,
      log: [expect.stringMatching(/10_c\.down\.sql undoes another file/)],
    });
    expect(await apply(engine, source)).toEqual({ applied: [], alreadyApplied: 3, log: [] });
    addFiles(source.directory, { "11_d.sql": "create table d (x int);" });
    expect(await apply(engine, source)).toMatchObject({ applied: ["11_d.sql"], alreadyApplied: 3 });
    expect(await rowsOf(engine, "select * from a")).toEqual(["10"]);
  });

  it("may not change once applied", async () => {
    const source = plain(files);
    await apply(engine, source);
    addFiles(source.directory, { "2_b.sql": "create table b (x bigint);", "3_c.sql": "create table c (x int);" });
    expect((await applyFailing(engine, source)).message).toMatch(/2_b\.sql .*changed/);
    expect(await tablesOf(engine)).toEqual(["a", "b"]);
  });

  it("may not disappear once applied", async () => {
    await apply(engine, plain(files));
    const { "2_b.sql": _gone, ...rest } = files;
    expect((await applyFailing(engine, plain(rest))).message).toMatch(/2_b\.sql .*gone/);
  });

  it("of Flyway: undo files are never applied, repeatable ones last and again when they were changed", async () => {
    const flyway = {
      "R__view.sql": "create or replace view seen as select x from a;",
      "U1__a.sql": "drop table a;",
      "U1.1__a.sql": "drop table a;",
      "V1__a.sql": "create table a (x int);",
      "V1.1__a.sql": "insert into a values (1);",
    };
    const source = plain(flyway);
    const applied = ["V1__a.sql", "V1.1__a.sql", "R__view.sql"];
    expect((await apply(engine, source)).applied).toEqual(applied);
    expect((await apply(engine, source)).applied).toEqual([]);
    addFiles(source.directory, {
      "R__view.sql": "create or replace view seen as select x + 1 as x from a;".replace("+ 1", "* 7"),
    });
    expect((await apply(engine, source)).applied).toEqual(["R__view.sql"]);
    expect(await rowsOf(engine, "select x from seen")).toEqual(["7"]);
    expect((await apply(engine, source)).applied).toEqual([]);
  });

  it("may change their line endings", async () => {
    const source = plain(files);
    await apply(engine, source);
    addFiles(source.directory, { "2_b.sql": files["2_b.sql"].replaceAll("\n", "\r\n") });
    expect((await apply(engine, source)).alreadyApplied).toBe(3);
  });

  it("are applied late with a word about it", async () => {
    const source = plain(files);
    await apply(engine, source);
    addFiles(source.directory, { "5_late.sql": "create table late (x int);" });
    const { applied, log } = await apply(engine, source);
    expect(applied).toEqual(["5_late.sql"]);
    expect(log).toContainEqual(expect.stringMatching(/5_late\.sql is applied after 10_c\.sql/));
  });

  it("may have any name", async () => {
    const source = plain({ 'it\'s \\ "é".sql': "set standard_conforming_strings = off; create table a (x int);" });
    await apply(engine, source);
    expect(await apply(engine, source)).toMatchObject({ applied: [], alreadyApplied: 1 });
  });
});

describe("a SQL seed", () => {
  const seed = (sql: string) => join(folder({ "seed.sql": sql }), "seed.sql");

  it("runs once per database", async () => {
    const file = seed("create table if not exists s (x int); insert into s values (1);");
    expect(await applySeed(engine, file)).toBe(true);
    expect(await applySeed(engine, file)).toBe(false);
    expect(await rowsOf(engine, "select count(*) from s")).toEqual(["1"]);
    await emptyDatabase(engine);
    expect(await applySeed(engine, file)).toBe(true);
  });

  it("does not run again when it was changed, and the log says so", async () => {
    const file = seed("create table s (x int);");
    await applySeed(engine, file);
    addFiles(join(file, ".."), { "seed.sql": "create table t (x int);" });
    const log: string[] = [];
    expect(await applySeed(engine, file, (_, line) => log.push(line))).toBe(false);
    expect(log).toEqual([
      expect.stringMatching(/seed\.sql was changed since this database had it; it is not run again/),
    ]);
    expect(await tablesOf(engine)).toEqual(["s"]);
  });

  it("that fails leaves nothing, is not recorded, and says where", async () => {
    const file = seed("create table s (x int);\ninsert into s values ('x');");
    await expect(applySeed(engine, file)).rejects.toThrow(/seed\.sql:2:23: .*22P02/);
    expect(await tablesOf(engine)).toEqual([]);
    addFiles(join(file, ".."), { "seed.sql": "create table s (x int);" });
    expect(await applySeed(engine, file)).toBe(true);
  });

  it("takes COPY with inline data, in one transaction with the rest", async () => {
    const file = seed(
      "\\restrict a1\ncreate table s (x int, t text);\ncopy s from stdin;\n1\ta;b\n2\t\\N\n\\.\n\ncopy s (x) from stdin (format csv);\n3\n\\.\n" +
        "create function f() returns text language sql as $$ select '\n\\restrict x\n' $$;\n\\unrestrict a1\n",
    );
    expect(await applySeed(engine, file)).toBe(true);
    expect(await rowsOf(engine, "select x || coalesce(t, '-') from s order by x")).toEqual(["1a;b", "2-", "3-"]);
    expect(await rowsOf(engine, "select f()")).toEqual(["\n\\restrict x\n"]);
  });

  it("of COPY that fails leaves nothing and says where", async () => {
    const file = seed("create table s (x int);\ncopy s from stdin;\n1\nx\n\\.\nselect 1;\n");
    await expect(applySeed(engine, file)).rejects.toThrow(
      /seed\.sql:2:1: .*"x".*22P02[\s\S]*where: COPY s, line 2, column x/,
    );
    expect(await tablesOf(engine)).toEqual([]);
    expect(await rowsOf(engine, "select 1")).toEqual(["1"]);
  });

  it("of COPY into what is not there leaves its data alone", async () => {
    const file = seed(`copy nowhere from stdin;\n${"a;b\n".repeat(50_000)}\\.\n`);
    await expect(applySeed(engine, file)).rejects.toThrow(/seed\.sql:1:1: .*"nowhere".*42P01/);
    expect(await rowsOf(engine, "select 1")).toEqual(["1"]);
  });
});

it.each([
  [
    "a module seed",
    () => moduleSeed(join(folder({ "seed.mjs": "export default async function seed() {}" }), "seed.mjs")),
  ],
  ["a function", () => functionSeed(async () => {})],
])("%s counts as run once it is recorded", async (_what, make) => {
  const seed = make();
  expect(await isNewCodeSeed(engine, seed)).toBe(true);
  expect(await isNewCodeSeed(engine, seed)).toBe(true);
  await recordCodeSeed(engine, seed);
  expect(await isNewCodeSeed(engine, seed)).toBe(false);
  expect(await rowsOf(engine, "select name from pglite_devdb.seeds")).toEqual([seed.name]);
});
