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
  const [source] = await findMigrations([setting], cwd, (_, line) => log.push(line));
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
    ["prisma", { "db/migration_lock.toml": "", "db/1_init/migration.sql": "" }, { schema: "public" }],
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
      /drizzle has migrations that are not plain SQL files side by side \(1_create\.js\) and is skipped/,
    ],
  ])("passes over %s and says so", async (_what, files, message) => {
    const { source, log } = await find("auto", { ...files, "migrations/1.sql": "" } as Record<string, string>);
    expect(source).toEqual({ kind: "plain", directory: "migrations" });
    expect(log).toEqual([expect.stringMatching(message)]);
  });

  it.each<[tool: string, setup: string, files: Record<string, string>]>([
    ["graphile-migrate", "npx graphile-migrate migrate", { "committed/000001.sql": "", "current.sql": "select 1;" }],
    ["Flyway", "flyway migrate", { "V1__a.sql": "", "more/V2__b.sql": "" }],
    ["Flyway", "flyway migrate", { "V1__a.sql": "", "beforeClean.sql": "drop table a" }],
    ["Flyway", "flyway migrate", { "V1__a.sql": "", "B2__base.sql": "" }],
    [
      "MikroORM",
      "npx mikro-orm migration:up",
      { "Migration20260101.ts": "import { Migration } from '@mikro-orm/migrations'" },
    ],
    ["Flyway", "flyway migrate", { "2025/V1__a.sql": "", "2026/V2__b.sql": "" }],
    ["Sqitch", "sqitch deploy", { "sqitch.plan": "", "deploy/a.sql": "", "revert/a.sql": "" }],
    ["Liquibase", "liquibase update", { "db.changelog-master.yaml": "", "1.sql": "" }],
    ["Knex", "npx knex migrate:latest", { "1_a.sql": "", "20260101_b.js": "exports.up = (knex) => knex.schema" }],
    ["node-pg-migrate", "npx node-pg-migrate up", { "1_a.sql": "", "2_b.js": "exports.up = (pgm) => {}" }],
    [
      "Sequelize",
      'npx sequelize-cli db:migrate --url "$DATABASE_URL"',
      { "20260101-a.js": "module.exports = { up: (queryInterface) => {} }" },
    ],
    [
      "TypeORM",
      "npx typeorm migration:run -d DATA_SOURCE",
      { "1700000000000-A.ts": "class A implements MigrationInterface {}" },
    ],
    [
      "db-migrate",
      "npx db-migrate up",
      { "20260101-a.js": "exports.up = (db) => db.runSql('')", "sqls/20260101-a-up.sql": "" },
    ],
    ["Rails", "bin/rails db:migrate", { "20260101000000_a.rb": "class A < ActiveRecord::Migration[8.0]" }],
    ["Alembic", "alembic upgrade head", { "1a2b_a.py": "from alembic import op" }],
  ])(
    "of %s is refused by name, and passed over by auto, with the command that applies it: %s",
    async (tool, setup, files) => {
      const within = (folder: string) =>
        Object.fromEntries(Object.entries(files).map(([name, text]) => [`${folder}/${name}`, text]));
      const message = await refusal("db", within("db"));
      expect(message).toContain(`db has migrations of ${tool} (`);
      expect(message).toMatch(/--migrations none --setup (['"]).*\1$/);
      expect(message).toContain(setup);
      const { source, log } = await find("auto", { ...within("migrations"), "db/migrations/1.sql": "" });
      expect(source).toEqual({ kind: "plain", directory: "db/migrations" });
      expect(log).toEqual([expect.stringContaining(`migrations has migrations of ${tool} (`)]);
    },
  );

  it("of graphile-migrate is refused before its first commit, too", async () => {
    const files = { ".gmrc": "{}", "migrations/current.sql": "create table wip (id int);" };
    expect(await refusal("migrations", files)).toContain("migrations has migrations of graphile-migrate (current.sql)");
    expect((await find("auto", files)).source).toBeUndefined();
  });

  it.each(["src/migration", "database/migrations", "src/main/resources/db/migration"])(
    "looks for %s",
    async (place) => {
      expect((await find("auto", { [`${place}/1.sql`]: "" })).source).toMatchObject({ kind: "plain" });
    },
  );

  it("takes plain SQL beside what is not migrations", async () => {
    const files = {
      "db/1.sql": "",
      "db/README.md": "",
      "db/index.ts": "",
      "db/migrate.mjs": "",
      "db/atlas.sum": "",
      "db/seeds/people.sql": "",
    };
    expect((await find("db", files)).source).toEqual({ kind: "plain", directory: "db" });
  });

  it("takes several directories in order, and no word beside them", async () => {
    const cwd = folder({ "a/1.sql": "", "b/1_init/migration.sql": "" });
    const found = await findMigrations(["b", "a"], cwd);
    expect(found.map(({ kind }) => kind)).toEqual(["prisma", "plain"]);
    await expect(findMigrations(["a", "auto"], cwd)).rejects.toThrow(/auto cannot be combined/);
  });

  it("looks for netlify/database/migrations", async () => {
    expect((await find("auto", { "netlify/database/migrations/1.sql": "" })).source).toMatchObject({ kind: "plain" });
  });

  it.each<[what: string, files: Record<string, string>, directory: string, schema: string]>([
    [
      "prisma.config.ts",
      {
        "prisma.config.ts": `import { defineConfig } from "prisma/config"; export default defineConfig({ schema: "db/schema.prisma", migrations: { path: "db/steps" } });`,
        "db/steps/1_a/migration.sql": "",
      },
      "db/steps",
      "public",
    ],
    [
      "the schema of prisma.config.ts",
      { "prisma.config.ts": `export default { schema: "db/schema.prisma" }`, "db/migrations/1_a/migration.sql": "" },
      "db/migrations",
      "public",
    ],
    [
      "package.json",
      {
        "package.json": JSON.stringify({ prisma: { schema: "db/schema.prisma" } }),
        "db/migrations/1_a/migration.sql": "",
      },
      "db/migrations",
      "public",
    ],
    [
      "package.json with a folder of schemas",
      { "package.json": JSON.stringify({ prisma: { schema: "db" } }), "db/migrations/1_a/migration.sql": "" },
      "db/migrations",
      "public",
    ],
    [
      ".env",
      {
        "prisma/migrations/1_a/migration.sql": "",
        "prisma/schema.prisma": `url = env("PRISMA_URL")`,
        ".env": 'PRISMA_URL="postgresql://u@h/d?schema=app"',
      },
      "prisma/migrations",
      "app",
    ],
    [
      "the URL in the schema",
      { "prisma/migrations/1_a/migration.sql": "", "prisma/schema.prisma": `url = "postgresql://u@h/d?schema=shop"` },
      "prisma/migrations",
      "shop",
    ],
  ])("finds Prisma's migrations and their schema by %s", async (_what, files, directory, schema) => {
    expect((await find("auto", files)).source).toEqual({ kind: "prisma", directory, schema });
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
