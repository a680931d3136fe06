/**
 * Starts of which it is known whether they began with a snapshot.
 *
 * Owns: starting a server, what it may say, its end. Does not own: what is in its cache (`installation.ts`).
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { expect } from "vitest";
import { startCli } from "../../support/cli-process.ts";
import type { Installation } from "../../support/installation.ts";
import { waitUntil } from "../../support/wait-until.ts";

/** What a server says that began with one. */
const fromSnapshot = "PostgreSQL starts from the snapshot in the cache";

/** Starts a server of an installation, asks it who it is, lets `meanwhile` pass, and ends it. */
export async function run(
  { cli, environment }: Installation,
  args: readonly string[] = [],
  meanwhile?: () => Promise<void>,
) {
  const options = ["start", "--port", "0", "--migrations", "none", "-o", "json", "--log-level", "debug", ...args];
  const server = startCli(options, { environment, cli });
  const [line] = await server.line(/^.*\n/);
  const client = new pg.Client((JSON.parse(line!) as { url: string }).url);
  await client.connect();
  await client.query("drop table if exists t; create table t (n int); insert into t values (1)");
  const { rows } = await client.query("select system_identifier from pg_control_system()");
  await meanwhile?.();
  expect((await client.query("select n from t")).rows).toEqual([{ n: 1 }]);
  await client.end();
  server.child.kill("SIGTERM");
  const { code, stderr } = await server.ended;
  expect(code).toBe(143);
  expect(stderr).not.toMatch(/error|fatal|panic|warning/i);
  return { identifier: rows[0].system_identifier as string, isRestored: stderr.includes(fromSnapshot) };
}

/** The files of snapshots in a cache. */
export const snapshots = (cache: string) =>
  readdirSync(cache)
    .filter((name) => /^snapshot-\d+-[0-9a-f]{32}$/.test(name))
    .map((name) => join(cache, name));

/** Resolves when one has been written that is not the file with the number `before`. */
export const kept = (cache: string, before?: number) => () =>
  waitUntil("a snapshot is kept", () => snapshots(cache).some((path) => statSync(path).ino !== before));
