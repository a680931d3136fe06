/**
 * The engine that takes the place of a dead one begins with the snapshot, too, and with nothing of the dead one.
 *
 * @module-tag long
 */
import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { kept } from "../cli/support/boot-snapshot.ts";
import { install } from "../support/installation.ts";
import { killEngine } from "../support/killed-engine.ts";
import { ProductServer } from "../support/product-server.ts";
import { errorFields, rows } from "../support/wire-client.ts";

test("a server that began with a snapshot does so again after its engine's death (mocked), as a server of its own", async () => {
  const { cache } = install({ isRewritten: true });
  onTestFinished(() => void vi.unstubAllEnvs());
  vi.stubEnv("XDG_CACHE_HOME", dirname(cache));
  const restored: string[] = [];
  const log = (_: string, line: string) => void (line.includes("from the snapshot") && restored.push(line));
  const serve = async (use: (server: ProductServer) => Promise<void>) => {
    const server = new ProductServer({ engine: { log } });
    await server.start();
    await use(server);
    server.dropClients();
    await server.stop();
  };
  await serve(kept(cache));
  expect(restored).toHaveLength(0);
  await serve(async (server) => {
    expect(restored).toHaveLength(1);
    const client = await server.login();
    await client.query("create table lost (n int); create role lost");
    const started = async () => {
      const sql = "select pg_postmaster_start_time(), system_identifier from pg_control_system()";
      return rows(await (await server.login()).query(sql))[0]!;
    };
    const before = await started();
    expect((await killEngine(server)).get("C")).toBe("57P02");
    expect(errorFields(await client.untilEnd())?.get("C")).toBe("57P02");
    const after = await started();
    expect(restored).toHaveLength(2);
    expect(after[0]).not.toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
    const next = await server.login();
    expect(errorFields(await next.query("select * from lost"))?.get("C")).toBe("42P01");
    expect(errorFields(await next.query("drop role lost"))?.get("C")).toBe("42704");
  });
  expect(readdirSync(cache).filter((name) => name.startsWith("snapshot-"))).toHaveLength(1);
});
