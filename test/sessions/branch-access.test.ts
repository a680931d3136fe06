/** Who gets a branch: roles that may connect to its source, and who asks for it by a startup parameter as CREATE DATABASE has it. */
import postgres from "postgres";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";

type Parameters = Readonly<Record<string, string>>;

/** Connects, and ends with the test. */
async function connect(db: DevDb, user: string, database: string, parameters: Parameters = {}): Promise<postgres.Sql> {
  const url = new URL(db.url);
  url.username = user;
  url.pathname = `/${database}`;
  const client = postgres(url.href, { max: 1, connection: parameters, onnotice: () => {} });
  onTestFinished(() => client.end({ timeout: 1 }));
  await client`select 1`;
  return client;
}

async function rows(client: postgres.Sql, sql: string): Promise<unknown[]> {
  return [...(await client.unsafe(sql).values())];
}

const roles = `create role bob login; create role ann login; create role maker login createdb;
  create role owner login createdb; create role root login superuser`;
const asBranch = { "pglite_devdb.branch": "on" };

describe.each(["on", "off"] as const)("with --branches %s", (branches) => {
  let db: DevDb;
  let admin: postgres.Sql;
  beforeAll(async () => {
    db = await startDevDb({ port: 0, migrations: "none", branches, log: () => {} });
    admin = postgres(db.url, { max: 1, onnotice: () => {} });
    await admin.unsafe(roles);
    return async () => {
      await admin.end();
      await db.close();
    };
  });
  const options = branches === "off" ? asBranch : {};
  const branchesOf = (source: string) =>
    rows(admin, `select datname from pg_database where datname like '${source}~%'`);

  test.each([
    ["closed", "revoke connect on database closed from public", "bob", "42501"],
    ["shut", "alter database shut allow_connections false", "bob", "55000"],
    ["shut_for_all", "alter database shut_for_all allow_connections false", "root", "55000"],
    ["full", "alter database full connection limit 0", "bob", "53300"],
  ])("a role that may not connect to a database gets no branch of it: %s", async (name, sql, role, code) => {
    await admin.unsafe("alter role bob createdb");
    await admin.unsafe(`create database "${name}" owner bob is_template true`);
    await admin.unsafe(`revoke all on database "${name}" from bob`);
    await admin.unsafe(sql.replace(/database (\w+)/, 'database "$1"'));
    await expect(connect(db, role, name)).rejects.toMatchObject({ code });
    const refusal = { code, message: expect.stringContaining(`database "${name}"`) };
    await expect(connect(db, role, `${name}~x`, options)).rejects.toMatchObject(refusal);
    expect(await branchesOf(name)).toEqual([]);
  });

  test("a superuser gets a branch of a database that no other role may connect to, and keeps them out of it", async () => {
    await admin.unsafe("create database guarded connection limit 7");
    await admin.unsafe("revoke connect on database guarded from public; grant connect on database guarded to ann");
    const access = (name: string) =>
      `select datacl, datconnlimit, datallowconn from pg_database where datname = '${name}'`;
    // The second one may be prepared.
    for (const name of ["guarded~a", "guarded~b", "guarded~c"]) {
      await connect(db, "root", name, options);
      expect(await rows(admin, access(name))).toEqual(await rows(admin, access("guarded")));
      await connect(db, "ann", name);
      await expect(connect(db, "bob", name)).rejects.toMatchObject({ code: "42501" });
      const dependent = `select count(*)::int from pg_shdepend join pg_database on objid = pg_database.oid
        where datname = '${name}' and refobjid = 'ann'::regrole and deptype = 'a'`;
      expect(await rows(admin, dependent)).toEqual([[1]]);
    }
    await expect(admin.unsafe("drop role ann")).rejects.toMatchObject({ code: "2BP01" });
  });
});

test("a branch by the startup parameter asks for what CREATE DATABASE asks for", async () => {
  const db = await startDevDb({ port: 0, migrations: "none", log: () => {} });
  onTestFinished(() => db.close());
  const admin = await connect(db, "postgres", "postgres");
  await admin.unsafe(roles);
  await admin.unsafe("create database app owner owner");
  await admin.unsafe("create database pattern is_template true");
  for (const [role, name] of [
    ["bob", "app"],
    ["bob", "pattern"],
    ["maker", "app"],
  ] as const) {
    await expect(connect(db, role, `${name}~${role}`, asBranch)).rejects.toMatchObject({ code: "42501" });
  }
  for (const [role, name] of [
    ["owner", "app"],
    ["maker", "pattern"],
    ["root", "app"],
  ] as const) {
    const client = await connect(db, role, `${name}~${role}`, asBranch);
    expect(await rows(client, "select current_database()")).toEqual([[`${name}~${role}`]]);
  }
});

test("db.branch() is refused for a database that does not allow connections", async () => {
  const db = await startDevDb({ port: 0, migrations: "none", database: "app", log: () => {} });
  onTestFinished(() => db.close());
  const admin = await connect(db, "postgres", "postgres");
  await admin.unsafe("alter database app allow_connections false");
  await expect(db.branch("x")).rejects.toMatchObject({ code: "55000" });
  expect(await rows(admin, "select datname from pg_database where datname like '%~x'")).toEqual([]);
});
