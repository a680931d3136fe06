/**
 * A start with a cache of its own, told from others by the identifier of its cluster.
 *
 * Owns: starting it, what it may say, its end. Does not own: what is in the cache before.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { expect } from "vitest";
import { startCli } from "../../support/cli-process.ts";

/** Starts, asks for the cluster's identifier, and ends. */
export async function identifier(cacheHome: string, ...args: string[]): Promise<string> {
  const started = await start(cacheHome, ...args);
  await started.end();
  return started.identifier;
}

/** Starts, and asks for the cluster's identifier. Whatever is said on stderr but the end is an error when it ends. */
export async function start(
  cacheHome: string,
  ...args: string[]
): Promise<{ identifier: string; end(): Promise<void> }> {
  const options = ["start", "--port", "0", "--migrations", "none", "-o", "json", "--log-level", "error", ...args];
  const server = startCli(options, { environment: { XDG_CACHE_HOME: cacheHome } });
  const [line] = await server.line(/^.*\n/);
  const client = new pg.Client((JSON.parse(line!) as { url: string }).url);
  await client.connect();
  await client.query("create table t (n int); insert into t values (1)");
  const { rows } = await client.query("select system_identifier from pg_control_system()");
  await client.end();
  const end = async () => {
    server.child.kill("SIGTERM");
    const { stdout, stderr } = await server.ended;
    expect(stdout).toBe(line);
    expect(stderr.replace(/^.*SIGTERM.*\n/, "")).toBe("");
  };
  return { identifier: rows[0].system_identifier, end };
}

/** The name of a whole file in the cache: one that is being written has a longer one, which ends with a UUID. */
export const whole =
  /^(cluster|sessions|library|code|snapshot|stock)-\d+-(?!.*[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$)[0-9a-z-]+$/;

/** The file of the empty cluster in a cache. */
export const cluster = (cache: string) => join(cache, readdirSync(cache).find((name) => name.startsWith("cluster-"))!);
