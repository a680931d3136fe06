/** Which folder a setting means, of which kind, and what is said when it means none. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { UsageError } from "../../../src/errors.ts";
import { findMigrations } from "../../../src/migrate/index.ts";
import { folder } from "../../migrate/fixtures.ts";

const JOURNAL = '{"dialect":"postgresql","entries":[]}';
const DEFAULT = { schema: "drizzle", table: "__drizzle_migrations" };

/** What a setting finds in a directory with these files; the folder relative to it. */
async function find(setting: string, files: Record<string, string>) {
  const cwd = folder(files);
  const log: string[] = [];
  const source = await findMigrations(setting, cwd, (_, line) => log.push(line));
  return { source: source && { ...source, directory: source.directory.slice(cwd.length + 1) }, log };
}

async function refusal(setting: string, files: Record<string, string>): Promise<string> {
  const error = await find(setting, files).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UsageError);
  return (error as UsageError).message;
}

describe("a directory", () => {
  it.each([
    ["drizzle", { "db/meta/_journal.json": JOURNAL, "db/0000_a.sql": "" }, { ledger: DEFAULT }],
    ["prisma", { "db/migration_lock.toml": "", "db/1_init/migration.sql": "" }, {}],
    ["plain", { "db/1.sql": "", "db/readme.md": "" }, {}],
  ])("of the kind %s is recognised by what it holds", async (kind, files, more) => {
    expect(await find("./db", files)).toEqual({ source: { kind, directory: "db", ...more }, log: [] });
  });

  it("of a drizzle project has the ledger of its drizzle.config.ts", async () => {
    const files = { "db/meta/_journal.json": JOURNAL, "other/meta/_journal.json": JOURNAL };
    const config = { "drizzle.config.ts": `export default { out: "./db", migrations: { schema: "s" } }` };
    expect((await find("db", { ...files, ...config })).source).toMatchObject({
      ledger: { schema: "s", table: DEFAULT.table },
    });
    expect((await find("other", { ...files, ...config })).source).toMatchObject({ ledger: DEFAULT });
  });

  it("can be used when drizzle.config.ts cannot be read", async () => {
    const files = { "db/meta/_journal.json": JOURNAL, "drizzle.config.mjs": `throw new Error("no secrets here")` };
    const { source, log } = await find("db", files);
    expect(source).toEqual({ kind: "drizzle", directory: "db", ledger: DEFAULT });
    expect(log).toEqual([
      expect.stringMatching(/drizzle\.config\.mjs cannot be read, so the ledger is drizzle\.__drizzle_migrations/),
    ]);
  });

  it.each<[what: string, files: Record<string, string>, message: RegExp]>([
    ["that is missing", {}, /the migrations directory db does not exist; expected meta\/_journal\.json/],
    ["that is a file", { db: "" }, /the migrations directory db is a file/],
    [
      "that is empty of migrations",
      { "db/readme.md": "", "db/1.down.sql": "" },
      /the migrations directory db has no migrations; expected/,
    ],
  ])("%s is refused by name", async (_what, files, message) => {
    expect(await refusal("db", files)).toMatch(message);
  });
});

describe("the folders of drizzle-kit 1.0", () => {
  const folders = { "db/20260101000000_a/migration.sql": "", "db/20260101000000_a/snapshot.json": "{}" };

  it("are told from Prisma's by their snapshots, and have the ledger of drizzle.config.*", async () => {
    expect((await find("db", folders)).source).toEqual({ kind: "drizzle-folders", directory: "db", ledger: DEFAULT });
    const config = { "drizzle.config.json": JSON.stringify({ out: "db", migrations: { schema: "s", table: "t" } }) };
    const ledger = { schema: "s", table: "t" };
    for (const setting of ["db", "auto"])
      expect((await find(setting, { ...folders, ...config })).source).toEqual({
        kind: "drizzle-folders",
        directory: "db",
        ledger,
      });
  });
});

describe("none", () => {
  it("finds nothing", async () => {
    expect((await find("none", { "drizzle/meta/_journal.json": JOURNAL })).source).toBeUndefined();
  });
});

describe("auto", () => {
  const everything = {
    "drizzle.config.ts": `export default { dialect: "postgresql", out: "./db/out" }`,
    "db/out/meta/_journal.json": JOURNAL,
    "drizzle/meta/_journal.json": JOURNAL,
    "migrations/1.sql": "",
    "prisma/migrations/1_init/migration.sql": "",
    "supabase/migrations/1.sql": "",
    "db/migrations/1.sql": "",
    "db/migrate/1.sql": "",
  };

  it("takes the first of drizzle.config.* and the usual places", async () => {
    const remaining: Record<string, string> = { ...everything };
    const found: (string | undefined)[] = [];
    for (const path of [
      "drizzle.config.ts",
      "drizzle/meta/_journal.json",
      "migrations/1.sql",
      "prisma/migrations/1_init/migration.sql",
      "supabase/migrations/1.sql",
      "db/migrations/1.sql",
      "db/migrate/1.sql",
    ]) {
      found.push((await find("auto", remaining)).source?.directory);
      delete remaining[path];
    }
    expect(found).toEqual([
      join("db", "out"),
      "drizzle",
      "migrations",
      ...["prisma", "supabase"].map((name) => join(name, "migrations")),
      join("db", "migrations"),
      join("db", "migrate"),
    ]);
    expect(await find("auto", remaining)).toEqual({ source: undefined, log: [] });
  });

  it.each(["ts", "js", "mjs", "cjs", "json"])("reads drizzle.config.%s", async (extension) => {
    const value = `{ "out": "db/out", "migrations": { "table": "t", "schema": "s" } }`;
    const text =
      extension === "json" ? value : extension === "cjs" ? `module.exports = ${value}` : `export default ${value}`;
    const { source } = await find("auto", {
      [`drizzle.config.${extension}`]: text,
      "db/out/meta/_journal.json": JOURNAL,
    });
    expect(source).toEqual({ kind: "drizzle", directory: join("db", "out"), ledger: { schema: "s", table: "t" } });
  });

  it("takes drizzle-kit's default folder when the configuration names none", async () => {
    const config = `export default { dialect: "postgresql", migrations: { schema: "s" } }`;
    const { source } = await find("auto", { "drizzle.config.ts": config, "drizzle/meta/_journal.json": JOURNAL });
    expect(source).toEqual({ kind: "drizzle", directory: "drizzle", ledger: { schema: "s", table: DEFAULT.table } });
  });

  it.each([
    [
      "a folder that does not exist",
      { "drizzle.config.ts": `export default { out: "./none" }` },
      /names the folder .*none, which does not exist/,
    ],
    ["another dialect", { "drizzle.config.ts": `export default { dialect: "sqlite" }` }, /is for the dialect "sqlite"/],
    [
      "an empty folder",
      { "drizzle.config.ts": `export default { out: "./src" }`, "src/a.ts": "" },
      /names the folder .*src, which has no migrations/,
    ],
    [
      "a folder of another tool",
      { "drizzle/1_create.js": "" },
      /drizzle has no migrations that can be applied here; expected/,
    ],
  ])("passes over %s and says so", async (_what, files, message) => {
    const { source, log } = await find("auto", { ...files, "migrations/1.sql": "" } as Record<string, string>);
    expect(source).toEqual({ kind: "plain", directory: "migrations" });
    expect(log).toEqual([expect.stringMatching(message)]);
  });

  it("refuses a drizzle folder that has lost its journal", async () => {
    const files = { "drizzle.config.ts": `export default { out: "./db" }`, "db/0000_a.sql": "" };
    expect(await refusal("auto", files)).toMatch(
      /drizzle\.config\.ts names the folder .*db, which has SQL but no meta\/_journal\.json/,
    );
  });

  it("refuses a configuration that cannot be understood", async () => {
    expect(await refusal("auto", { "drizzle.config.json": "{" })).toMatch(/drizzle\.config\.json is not JSON/);
    expect(await refusal("auto", { "drizzle.config.mjs": "export default { out: 7 }" })).toMatch(
      /"out" is not text; pass --migrations DIR/,
    );
  });
});
