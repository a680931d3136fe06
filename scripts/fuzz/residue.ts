/**
 * What a server still has when all clients of the cases have gone.
 *
 * Owns: emptying the database, the figures, and the rule for growth. Does not own: how often it looks.
 * Invariant: every look is at the same state: an empty table, no case running; so figures can be compared.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { encodeStartup } from "../../src/wire/frontend.ts";
import { types, WireClient } from "../../test/support/wire-client.ts";
import { withinMs } from "./client.ts";
import { maxConnections, type ServerUnderTest, type Vitals } from "./server-under-test.ts";

/**
 * The catalogs that temporary tables and large objects fill; without autovacuum only this empties them. WAL of an empty
 * database is in memory as well: by default several segments of 16 MB are kept for later.
 */
const emptying = [
  "alter system set min_wal_size = '32MB'",
  "alter system set wal_recycle = off",
  "select pg_reload_conf()",
  "create table if not exists t(n int)",
  "truncate t",
  ...["class", "attribute", "type", "depend", "statistic", "largeobject", "index", "constraint"].map(
    (one) => `vacuum pg_${one}`,
  ),
  "checkpoint",
];

/**
 * What is in use after a collection may differ by this much between two looks: caches, large values that came last, and
 * WAL, whose segments have 16 MB: the next one may have been made, the checkpointer, the WAL writer and the client that
 * stays may each have an old one open.
 */
const heldSlackMb = 25 + 3 * 16;
/**
 * Resident memory is a weak sign: the allocator keeps what was garbage, for each thread, and V8 optimizes one function after
 * the other. It is there for what is in no heap, and compared with the most of the first looks.
 */
const residentSlackMb = 300;
const looksUntilSettled = 10;
const settleMs = 5_000;

/** Empties the database. Rejects if the server does not let us. */
export async function emptyDatabase(server: ServerUnderTest): Promise<void> {
  const client = await WireClient.login(server.endpoint);
  for (const sql of emptying) {
    const answer = await client.query(sql);
    if (types(answer).includes("E")) throw new Error(`${sql}: ${types(answer)}`);
  }
  await client.end();
}

/** What the server holds once its handles are as few as at `before`, or some seconds have passed. */
export async function settledVitals(server: ServerUnderTest, before?: Vitals): Promise<Vitals> {
  const end = performance.now() + settleMs;
  let now = server.vitals();
  while (before?.handles !== undefined && (now.handles ?? 0) > before.handles && performance.now() < end) {
    await sleep(20);
    now = server.vitals();
  }
  return { ...now, heldMb: await server.heldMb(() => askOnce(server)) };
}

async function askOnce({ endpoint }: ServerUnderTest): Promise<void> {
  const client = await WireClient.login(endpoint).catch(() => undefined);
  await client?.query("select 1").catch(() => {});
  await client?.end();
}

/** What later looks are compared with, after `looks` of them. */
export function baseline(before: Vitals | undefined, now: Vitals, looks: number): Vitals {
  if (!before || looks > looksUntilSettled) return before ?? now;
  return { ...before, memoryMb: Math.max(before.memoryMb ?? 0, now.memoryMb ?? 0) || undefined };
}

/** What has grown between two looks. */
export function growth(before: Vitals, after: Vitals): string[] {
  const grown: string[] = [];
  if (before.handles !== undefined && after.handles !== undefined && after.handles > before.handles) {
    grown.push(`open handles: ${before.handles} before, ${after.handles} after`);
  }
  const say = (what: string, from: number, to: number) =>
    `${what}: ${Math.round(from)} MB before, ${Math.round(to)} MB after`;
  if (before.heldMb !== undefined && after.heldMb !== undefined && after.heldMb > before.heldMb + heldSlackMb) {
    grown.push(say("memory in use", before.heldMb, after.heldMb));
  }
  const [from, to] = [before.memoryMb, after.memoryMb];
  if (from !== undefined && to !== undefined && to > from + residentSlackMb) {
    grown.push(say("resident memory", from, to));
  }
  return grown;
}

/** Lets as many clients in at once as the server takes beside the one that stays; returns what is wrong. */
export async function fillUp(server: ServerUnderTest): Promise<string[]> {
  const wanted = maxConnections - 1;
  const clients: WireClient[] = [];
  const all = Promise.allSettled(
    Array.from({ length: wanted }, async () => {
      const client = await WireClient.connect(server.endpoint);
      clients.push(client);
      return loggedIn(client);
    }),
  );
  await withinMs(10_000, all);
  const admitted = clients.filter((client) => types(client.unread).endsWith("Z")).length;
  for (const client of clients) client.destroy();
  if (admitted === wanted) return [];
  return [`only ${admitted} of ${wanted} clients are let in at the end: connections are not given back`];
}

async function loggedIn(client: WireClient): Promise<void> {
  client.send(encodeStartup({ user: "postgres", database: "postgres" }));
  while (!client.ended && !/[ZE]/.test(types(client.unread))) await client.received();
}
