/**
 * drizzle-kit against the server, while other clients query: migrate and push, of the example project.
 *
 * Owns: that drizzle-kit and the server's own migrations agree about what is applied. Does not own: the migrations; the other
 * way round and a changed schema (`drizzle-kit.long.test.ts`).
 */
import { expect, test } from "vitest";
import { drizzleKit, ledger, names, schemaOf, startServer, triggers } from "./support/drizzle-kit.ts";

test("drizzle-kit migrate finds nothing to do after the migrations of the start, and push keeps their schema", async () => {
  const server = await startServer(["--migrations", "migrations"]);
  expect(server.migrationsApplied).toEqual(names);
  const before = { ledger: await ledger(server), schema: await schemaOf(server), triggers: await triggers(server) };
  expect([before.ledger.length, before.triggers.length > 0]).toEqual([names.length, true]);
  await drizzleKit(server, "migrations applied successfully", "migrate");
  expect(await ledger(server)).toEqual(before.ledger);
  await drizzleKit(server, "Changes applied", "push", "--force");
  expect({ ledger: await ledger(server), schema: await schemaOf(server), triggers: await triggers(server) }).toEqual(
    before,
  );
});
