/** `pglite-devdb doctor`: what it finds here and on a server, and what it says is to be done. */
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ServerFacts } from "../../src/dev-db/doctor/facts.ts";
import { compareServers } from "../../src/dev-db/doctor/server.ts";
import { runCli, temporaryDirectory } from "../support/cli-process.ts";
import { query } from "../support/query.ts";
import { waitUntil } from "../support/wait-until.ts";
import { requireNative, startNative } from "./support/native.ts";

function project(sql: string): string {
  const cwd = temporaryDirectory();
  mkdirSync(join(cwd, "migrations"));
  writeFileSync(join(cwd, "migrations/1_first.sql"), sql);
  return cwd;
}

test("here: Node, PGlite, the cache, the port, the migrations; nothing stands in the way", async () => {
  const cwd = project(
    'create extension if not exists "uuid-ossp"; -- create extension postgis;\ncreate table t (n int);',
  );
  const environment = { XDG_CACHE_HOME: join(cwd, "cache"), DEV_DB_PORT: "0" };
  const end = await runCli(["doctor"], { cwd, environment });
  expect(end).toMatchObject({ code: 0, stderr: "" });
  for (const line of [
    /^ok +Node v\d+\S+: each connection has its own PostgreSQL session$/m,
    /^ok +PGlite [\d.]+, a version that this was made for$/m,
    /^ok +cache: .*cache\/pglite-devdb, empty yet: .* In CI, keep it$/m,
    /^ok +DEV_DB_PORT 0: any free port$/m,
    /^ok +migrations \(plain\): .*migrations, 1 files of SQL$/m,
  ])
    expect(end.stdout).toMatch(line);
});

test("here: a port that is taken, and an extension that there is not, stand in the way", async () => {
  const cwd = project("create extension postgis; create extension vector;");
  const taken = createServer().listen(0, "127.0.0.1");
  await waitUntil("a port is taken", () => taken.listening);
  const { port } = taken.address() as { port: number };
  const end = await runCli(["doctor", "--port", `${port}`], { cwd });
  taken.close();
  expect(end.code).toBe(1);
  expect(end.stdout).toMatch(new RegExp(`^STOP +port ${port} .*--port 0$`, "m"));
  expect(end.stdout).toMatch(/^STOP +extension postgis \(migrations\/1_first.sql\) .*--engine URL/m);
  expect(end.stdout).toMatch(/^STOP +extension vector \(.*(-e vector|npm install)/m);
});

const facts: ServerFacts = {
  version: "18.6",
  isInRecovery: false,
  mayMakeDatabases: true,
  isSuperuser: true,
  hasTables: false,
  database: { encoding: "UTF8", collation: "C", ctype: "C.UTF-8", "locale provider": "libc" },
  settings: new Map([
    ["TimeZone", "UTC"],
    ["max_connections", "100"],
    ["shared_preload_libraries", ""],
  ]),
  available: new Map([["citext", "1.8"]]),
  installed: new Map(),
};
const compare = (there: Partial<ServerFacts>, needs: readonly string[] = []) =>
  compareServers(
    facts,
    { ...facts, ...there },
    needs.map((name) => ({ name, file: "1.sql" })),
    100,
  )
    .filter(({ weight }) => weight !== "ok")
    .map(({ weight, text }) => `${weight}: ${text}`);

test("two that are alike have nothing that differs", () => expect(compare({}, ["citext"])).toEqual([]));

test.each<[string, Partial<ServerFacts>, RegExp]>([
  ["an older version", { version: "15.8" }, /^differs: PostgreSQL 15.8 there, 18.6 here: .*--engine URL$/],
  ["a standby", { isInRecovery: true }, /^stop: it is a standby/],
  ["no CREATEDB", { mayMakeDatabases: false }, /^differs: .*ALTER ROLE … CREATEDB$/],
  ["tables", { hasTables: true }, /^differs: the database has tables/],
  [
    "another encoding",
    { database: { ...facts.database, encoding: "LATIN1" } },
    /^differs: encoding: LATIN1 there, UTF8 here: /,
  ],
  ["another order", { database: { ...facts.database, collation: "en_US.utf8" } }, /^differs: collation: .*COLLATE "C"/],
  [
    "a setting",
    { settings: new Map([...facts.settings, ["TimeZone", "Europe/Berlin"]]) },
    /--set 'TimeZone=Europe\/Berlin'$/,
  ],
  ["few connections", { settings: new Map([...facts.settings, ["max_connections", "20"]]) }, /--max-connections 20$/],
  [
    "a library",
    { settings: new Map([...facts.settings, ["shared_preload_libraries", "citus"]]) },
    /^differs: citus is loaded/,
  ],
  [
    "more extensions",
    {
      available: new Map([
        ["citext", "1.6"],
        ["postgis", "3"],
      ]),
    },
    /^differs: .* there only: postgis: /,
  ],
])("%s", (_, there, line) => {
  const found = compare(there);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(line);
});

test("what the migrations need stands in the way where it lacks", () => {
  expect(compare({ available: new Map() }, ["citext"])[0]).toMatch(
    /^stop: extension citext \(1.sql\) is not there: install it/,
  );
  const [here] = compare({ available: new Map([...facts.available, ["vector", "0.8"]]) }, ["vector"]);
  expect(here).toMatch(
    /^stop: extension vector \(1.sql\) is not here: npm install .*--extension vector; or run on that server/,
  );
});

test("a real server: its settings, its extensions, and nothing of it is changed", {
  tags: "long",
}, async (context) => {
  requireNative(context);
  await using server = await startNative({ database: "app" });
  await query(server.url, "alter database app set timezone = 'Asia/Tokyo'");
  await query(server.url, "alter database app set standard_conforming_strings = off");
  const cwd = project("create extension postgres_fdw; create extension pg_trgm;");
  const end = await runCli(["doctor", server.url], { cwd });
  expect(end).toMatchObject({ code: 1, stderr: "" });
  for (const line of [
    /^ok +PostgreSQL 18\.\d+ there, 18\.\d+ here/m,
    /^differs +TimeZone: Asia\/Tokyo there, UTC here: .*--set/m,
    /^differs +standard_conforming_strings: off there, on here: .*--set standard_conforming_strings=off$/m,
    /^STOP +extension postgres_fdw \(migrations\/1_first.sql\) is not here: /m,
    /^ok +extension pg_trgm .*: 1\.6 there, 1\.6 here$/m,
  ])
    expect(end.stdout).toMatch(line);
  expect(await query(server.url, "select count(*)::int from pg_extension")).toEqual([1]);
  const nobody = await runCli(["doctor", "postgresql://127.0.0.1:1/x"], { cwd });
  expect(nobody).toMatchObject({ code: 1, stdout: expect.stringMatching(/^STOP +.*127\.0\.0\.1:1/) });
});
