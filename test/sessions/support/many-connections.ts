/**
 * Many connections open at once, each with a session of its own, up to the limit and one more.
 *
 * Owns: the clients and what is asked of them. Does not own: how many they are.
 */
import { expect, onTestFinished } from "vitest";
import { startOurs } from "../../clients/support/server-process.ts";
import { outline } from "../../support/product-server.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { errorFields, message, rows, WireClient } from "../../support/wire-client.ts";

/** Each has its own backend, settings and temporary table; one more is refused; nothing is left of them. */
export async function checkManyConnections(connections: number): Promise<void> {
  const server = await startOurs(["--sessions", "isolated", "--max-connections", String(connections)]);
  onTestFinished(() => server.stop());
  const watcher = await WireClient.login(server);
  const count = async (what: string): Promise<number> =>
    Number(rows(await watcher.query(`select count(*) from ${what}`))[0]![0]);
  const backends = (): Promise<number> => count("pg_stat_activity where backend_type = 'client backend'");
  const temporaryTables = (): Promise<number> => count("pg_class where relname = 'own'");

  const names = Array.from({ length: connections - 1 }, (_, n) => `client ${n}`);
  const clients = await Promise.all(names.map((name) => WireClient.login(server, { application_name: name })));
  onTestFinished(() => clients.forEach((client) => void client.destroy()));
  const ask = async (sql: string): Promise<(string | null)[]> =>
    (await Promise.all(clients.map(async (client) => rows(await client.query(sql))))).flat(2);

  expect(new Set(await ask("select pg_backend_pid()")).size).toBe(names.length);
  expect(await backends()).toBe(connections);
  await ask("create temp table own as select current_setting('application_name') as name");
  expect(await temporaryTables()).toBe(names.length);
  expect(await ask("select name from own")).toEqual(names);

  const extra = await WireClient.connect(server);
  extra.send(message.startup({ user: "postgres", database: "postgres" }));
  const refusal = await extra.untilEnd();
  expect([outline(refusal), errorFields(refusal)?.get("M")]).toEqual(["E(53300)", "sorry, too many clients already"]);

  for (const client of clients) client.destroy();
  await waitUntil("all backends but one have ended", async () => (await backends()) === 1);
  expect(await temporaryTables()).toBe(0);
}
