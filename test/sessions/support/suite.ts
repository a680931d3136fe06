/**
 * Scripts as tests: on our server and on a real PostgreSQL, compared in every step.
 *
 * Owns: the two servers of a file, one test per script, the count of compared steps. Does not own: the scripts.
 * Invariant: a step that is not compared with a real PostgreSQL is at least compared with what is written, which came
 * from one; and a file says on standard error how many steps it compared with what.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startOurs } from "../../clients/support/server-process.ts";
import { findRealPostgres, howToGetOne, startRealPostgres } from "../../support/real-postgres.ts";
import { type Address, WireClient } from "../../support/wire-client.ts";
import { compareTraces, type NamedTrace } from "./compare.ts";
import { givenServer, isolatedSessionsAvailable, requireIsolatedSessions } from "./isolated.ts";
import { runScript } from "./run-script.ts";
import { readScript } from "./script.ts";

interface Server {
  readonly address: Address;
  readonly stop: () => Promise<void>;
}

/** Declares the tests: names of behaviours and their scripts. Call it once per file. */
export function describeScripts(title: string, scripts: Readonly<Record<string, string>>): void {
  let ours: Server | undefined;
  let real: Server | undefined;
  let compared = 0;

  beforeAll(async () => {
    if (!isolatedSessionsAvailable) return;
    ours =
      givenServer === undefined
        ? await startOurs(["--sessions", "isolated"]).then(({ port, stop }) => ({ address: { port }, stop }))
        : at(givenServer);
    real = await startReal();
  });

  afterAll(async () => {
    await ours?.stop();
    await real?.stop();
    if (ours)
      process.stderr.write(
        `${title}: ${compared} steps compared with ${real ? "a real PostgreSQL" : "what is written only"}\n`,
      );
  });

  describe(title, () => {
    test("two connections are two sessions", async (context) => {
      requireIsolatedSessions(context);
      const clients = await Promise.all([1, 2].map(() => WireClient.login(ours!.address)));
      const pids = await Promise.all(clients.map((client) => client.query("select pg_backend_pid()")));
      for (const client of clients) await client.end();
      expect(pids[0]).not.toEqual(pids[1]);
    });

    test("a real PostgreSQL is at hand", (context) => {
      requireIsolatedSessions(context);
      if (!real) context.skip(howToGetOne);
    });

    test.for(Object.entries(scripts))("%s", async ([, text], context) => {
      requireIsolatedSessions(context);
      const script = readScript(text);
      const traces: NamedTrace[] = [{ name: "ours", trace: await runScript(script, ours!.address) }];
      if (real) traces.push({ name: "real", trace: await runScript(script, real.address) });
      const { events, differences, table } = compareTraces(script, traces);
      compared += events;
      expect(differences, `\n${table}\n`).toBe(0);
    });
  });
}

async function startReal(): Promise<Server | undefined> {
  const source = findRealPostgres();
  if (!source) return undefined;
  if ("url" in source) return at(source.url);
  const { port, stop } = await startRealPostgres({ max_prepared_transactions: "10", timezone: "UTC" });
  return { address: { port }, stop };
}

function at(url: string): Server {
  const { hostname, port } = new URL(url);
  return { address: { host: hostname, port: Number(port || 5432) }, stop: async () => {} };
}
