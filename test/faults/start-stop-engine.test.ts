/**
 * Starting and stopping with the real engine, listener and migrations.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { controlDevDb } from "../../src/dev-db/control.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { type EngineOptions, openEngine } from "../../src/engine/kept-engine.ts";
import {
  createDevDb,
  type DevDb,
  type DevDbOptions,
  MigrationError,
  PortTakenError,
  startDevDb,
} from "../../src/index.ts";
import { resolveOptions } from "../../src/options.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";

beforeAll(initializeTemplate);

/** A project directory with files, by path. */
function project(files: Record<string, string> = {}): string {
  const cwd = mkdtempSync(join(tmpdir(), "pglite-devdb-project-"));
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true, maxRetries: 3 }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(cwd, path, ".."), { recursive: true });
    writeFileSync(join(cwd, path), text);
  }
  return cwd;
}

async function query<T extends postgres.Row[]>(db: Pick<DevDb, "url">, sql: string): Promise<T> {
  const client = postgres(db.url, { max: 1, onnotice: () => {} });
  try {
    return (await client.unsafe(sql)) as unknown as T;
  } finally {
    await client.end({ timeout: 5 });
  }
}

function reach(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve("reached");
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
  });
}

describe("a database", () => {
  test("is ready when the start resolves, says where it is, and is gone when its scope ends", async () => {
    const cwd = project();
    let port = 0;
    {
      await using db = await startDevDb({ port: 0, cwd, maxConnections: 7 });
      port = db.port;
      expect(await query(db, "select current_database() as name")).toEqual([{ name: db.database }]);
      expect(db).toMatchObject({ host: "127.0.0.1", socketDir: undefined, migrationsApplied: [] });
      expect(db.url).toBe(db.env.DATABASE_URL);
      expect(db.version).toMatch(/^18\.\d+$/);
      expect(db.ms).toBeGreaterThan(0);
      // The end of a client is worked off after it has been told.
      await expect.poll(() => db.stats(), { timeout: 30_000 }).toMatchObject({ maxConnections: 7, queuedQueries: 0 });
      expect(await reach(port)).toBe("reached");
    }
    expect(await reach(port)).toBe("ECONNREFUSED");
  });

  test("that is durable keeps its data and its migrations over a stop and a start of one handle", {
    tags: "long",
  }, async () => {
    const cwd = project({ "migrations/1.sql": "create table t (id int); insert into t values (1);" });
    const control = createDevDb({ port: 0, cwd, db: initializedDirectory() });
    const first = await control.start();
    expect(first.migrationsApplied).toHaveLength(1);
    await query(first, "insert into t values (2)");
    await control.stop();
    const second = await control.start();
    expect(second.migrationsApplied).toEqual([]);
    expect(await query(second, "select count(*)::int as n from t")).toEqual([{ n: 2 }]);
    await control.stop();
  });

  test("loads the extensions that are named", { tags: "long" }, async () => {
    await using db = await startDevDb({ port: 0, cwd: project(), extensions: ["pg_trgm"], db: initializedDirectory() });
    await query(db, "create extension pg_trgm");
    expect(await query(db, "select similarity('abc', 'abd') > 0 as alike")).toEqual([{ alike: true }]);
  });
});

describe("a failed start", () => {
  test("because of a migration can be retried once the file is repaired, on the same handle and data", {
    tags: "long",
  }, async () => {
    const cwd = project({
      "migrations/1.sql": "create table one (id int);",
      "migrations/2.sql": "create tabel two ();",
    });
    const control = createDevDb({ port: 0, cwd, db: initializedDirectory() });
    const starts = await Promise.allSettled([control.start(), control.start()]);
    for (const start of starts) expect(start).toMatchObject({ reason: expect.any(MigrationError) });
    writeFileSync(join(cwd, "migrations/2.sql"), "create table two (id int);");
    const db = await control.start();
    expect(db.migrationsApplied).toEqual([expect.stringContaining("2")]);
    expect(await query(db, "select count(*)::int as n from one, two")).toEqual([{ n: 0 }]);
    await control.stop();
  });

  test("because of a port can be retried once the port is free", { tags: "long" }, async () => {
    const holder = await startDevDb({ port: 0, cwd: project(), db: initializedDirectory() });
    const control = createDevDb({ port: holder.port, cwd: project(), db: initializedDirectory() });
    await expect(control.start()).rejects.toThrow(PortTakenError);
    await expect(control.start()).rejects.toThrow(`port ${holder.port} is taken`);
    await holder.close();
    const db = await control.start();
    expect(db.port).toBe(holder.port);
    await control.stop();
  });

  test("because of a bad path or option opens nothing", async () => {
    const cwd = project();
    const bad: [DevDbOptions, string][] = [
      [{ seed: "missing.sql" }, "seed in the options: there is no file"],
      [{ socketDir: "missing" }, "socketDir in the options: there is no directory"],
      [{ socketDir: `${"long/".repeat(30)}` }, "socketDir in the options: there is no directory"],
      [{ extensions: ["nope"] }, 'extensions in the options: there is no extension "nope"'],
      [{ maxConnections: 0 }, "maxConnections in the options: 0 is not a whole number from 1"],
    ];
    for (const [options, sentence] of bad) {
      await expect(startDevDb({ port: 0, cwd, db: "data", ...options })).rejects.toThrow(sentence);
    }
    expect(readdirSync(cwd)).toEqual([]);
  });

  test("because of a socket directory whose name is too long says so", async () => {
    const long = "d".repeat(100);
    const cwd = project({ [`${long}/file`]: "" });
    await expect(startDevDb({ port: 0, cwd, socketDir: long })).rejects.toThrow("too long for a Unix socket");
  });
});

describe("a stop during a start", () => {
  test("in the middle of the migrations leaves whole migrations only, and the next start goes on from there", async () => {
    const files = Object.fromEntries(
      Array.from({ length: 30 }, (_, i) => {
        const name = String(i).padStart(2, "0");
        return [`migrations/${name}.sql`, `create table t${name} (id int); insert into t${name} values (1);`];
      }),
    );
    const cwd = project(files);
    const db = initializedDirectory();
    const abort = new AbortController();
    const openWatched = async (engineOptions: EngineOptions): Promise<Engine> => {
      const engine = await openEngine(engineOptions);
      const { execProtocolRawStream } = engine;
      engine.execProtocolRawStream = (message, handlers) => {
        if (Buffer.from(message.subarray(0, message.length)).includes("create table t10")) abort.abort();
        return execProtocolRawStream.call(engine, message, handlers);
      };
      return engine;
    };
    const options = resolveOptions({ library: { port: 0, db } });
    const control = controlDevDb(options, {
      cwd,
      signal: abort.signal,
      parts: { openEngine: openWatched, listen: (engine, options) => engine.listen(options) },
    });
    await expect(control.start()).rejects.toMatchObject({ name: "AbortError" });
    await using again = await startDevDb({ port: 0, cwd, db });
    // The abort came while the eleventh was running.
    expect([19, 20]).toContain(again.migrationsApplied.length);
    const tables = await query(again, "select relname from pg_class where relname ~ '^t\\d\\d$'");
    expect(tables).toHaveLength(30);
    const counts = Object.keys(files).map((_, i) => `(select count(*) from t${String(i).padStart(2, "0")})`);
    expect(await query(again, `select (${counts.join("+")})::int as n`)).toEqual([{ n: 30 }]);
  });

  test("while a module seed never ends resolves, and closes the listener of the seed", { tags: "long" }, async () => {
    const note = join(project(), "url");
    const cwd = project({
      "seed.mjs": `import { writeFileSync } from "node:fs";
        export default (url) => { writeFileSync(${JSON.stringify(note)}, url); return new Promise(() => {}); };`,
    });
    const control = createDevDb({ port: 0, cwd, db: initializedDirectory(), seed: "seed.mjs" });
    const starting = control.start();
    starting.catch(() => {});
    await expect.poll(() => existsSync(note), { timeout: 30_000 }).toBe(true);
    await control.stop();
    await expect(starting).rejects.toThrow("stopped while it was starting");
    expect(await reach(Number(new URL(readFileSync(note, "utf8")).port))).toBe("ECONNREFUSED");
  });
});

describe("a seed", () => {
  test("that is a module gets a URL of its own, runs once, and no client ever sees half of it", {
    tags: "long",
  }, async () => {
    const cwd = project({
      "migrations/1.sql": "create table seeded (url text);",
      "seed.mjs": `import postgres from ${JSON.stringify(import.meta.resolve("postgres"))};
        export default async function (url) {
          const sql = postgres(url);
          await sql\`insert into seeded values (\${url})\`;
          await sql.end();
        }`,
    });
    const options = { port: 0, cwd, db: initializedDirectory(), seed: "seed.mjs" };
    for (let round = 0; round < 2; round++) {
      await using db = await startDevDb(options);
      const rows = await query<{ url: string }[]>(db, "select url from seeded");
      expect(rows).toHaveLength(1);
      expect(rows[0]!.url).not.toBe(db.url);
    }
  });

  test("that fails ends the start", { tags: "long" }, async () => {
    const cwd = project({ "seed.mjs": "export default async () => { throw new Error('no rain'); }" });
    const options = { port: 0, cwd, db: initializedDirectory(), seed: "seed.mjs" };
    await expect(startDevDb(options)).rejects.toThrow(MigrationError);
    await expect(startDevDb(options)).rejects.toThrow("no rain");
  });
});
