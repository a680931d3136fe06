/**
 * drizzle-kit against the server, while other clients query: migrate before the server's own migrations, push of the example
 * project and of a changed schema.
 *
 * @module-tag long
 */
import { expect, test } from "vitest";
import { dataDirectory, drizzleKit, ledger, names, query, schemaOf, startServer } from "./support/drizzle-kit.ts";

test("a start finds nothing to do after drizzle-kit migrate, and push into an empty database makes the same schema", async () => {
  const db = dataDirectory();
  const migrated = await startServer(["--db", db]);
  expect(migrated.migrationsApplied).toEqual([]);
  await drizzleKit(migrated, "migrations applied successfully", "migrate");
  const made = { ledger: await ledger(migrated), schema: await schemaOf(migrated) };
  expect(made.ledger.length).toBe(names.length);
  await drizzleKit(migrated, "migrations applied successfully", "migrate");
  expect(await ledger(migrated)).toEqual(made.ledger);
  await migrated.stop();

  const again = await startServer(["--db", db, "--migrations", "migrations"]);
  expect(again.migrationsApplied).toEqual([]);
  expect({ ledger: await ledger(again), schema: await schemaOf(again) }).toEqual(made);
  await again.stop();

  const pushed = await startServer();
  await drizzleKit(pushed, "Changes applied", "push", "--force");
  expect(await schemaOf(pushed)).toEqual(made.schema);
});

test("drizzle-kit push carries a changed schema into tables with rows, and back", async () => {
  const server = await startServer();
  const push = (schema: string, words = "Changes applied") =>
    drizzleKit(
      server,
      words,
      ...["push", "--force", "--dialect", "postgresql", "--url", server.url],
      ...["--schema", `./test/clients/programs/${schema}.ts`],
    );
  await push("drizzle-before");
  const schemaBefore = await schemaOf(server);
  await query(server, "insert into parcels (label, size, remark) values ('a', 'small', 'x'), ('b', 'large', null)");
  await push("drizzle-after");
  expect(await query(server, "select * from parcels order by id")).toEqual([
    { id: 1, label: "a", size: "small", remark: "x", depot_id: null, weight: 7 },
    { id: 2, label: "b", size: "large", remark: null, depot_id: null, weight: 7 },
  ]);
  const schema = await schemaOf(server);
  expect(schema).toContain("size small,medium,large");
  expect(schema).toContain("CREATE INDEX parcels_label_idx ON public.parcels USING btree (label)");
  expect(schema).toContain("depots depots_pkey PRIMARY KEY (id)");
  await push("drizzle-after", "No changes detected");
  expect(await schemaOf(server)).toEqual(schema);
  await push("drizzle-before");
  expect(await schemaOf(server)).toEqual(schemaBefore);
  expect(await query(server, "select * from parcels order by id")).toEqual([
    { id: 1, label: "a", size: "small", remark: "x" },
    { id: 2, label: "b", size: "large", remark: null },
  ]);
});
