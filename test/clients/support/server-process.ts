/**
 * A server in a process of its own: the command line of this package, or the stock library.
 *
 * Owns: starting it on a free port, its ready line, its orderly end. Does not own: what connects to it.
 * Invariant: a process that was started here has ended when `stop` resolves, and at the latest when this process exits.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import postgres from "postgres";
import { expect } from "vitest";
import { engineArguments } from "../../support/engine-under-test.ts";
import { engineTemplate } from "../../support/engines.ts";
import { cleanEnvironment } from "./run-program.ts";

/** The checkout. */
export const root = join(import.meta.dirname, "..", "..", "..");

/** A listening server. */
export interface ServerProcess {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly migrationsApplied: readonly string[];
  /** What its certificate can be verified with, if it made one. */
  readonly certificateFile: string | undefined;
  /** What it logged so far. */
  log(): string;
  /** Fails unless it still runs and answers a new client. */
  expectHealthy(): Promise<void>;
  /** Ends it. Of our server it is expected that it ran until now and ends as it says it does. Idempotent. */
  stop(): Promise<void>;
}

/** Starts `pglite-devdb start` on a free port and the engine of TEST_ENGINE, without migrations unless `args` name some. */
export async function startOurs(args: readonly string[] = []): Promise<ServerProcess> {
  const migrations = args.includes("--migrations") ? [] : ["--migrations", "none"];
  return await start(
    [join(root, "dist", "cli.js"), "start", "--port", "0", ...migrations, "-o", "json", ...engineArguments(), ...args],
    143,
  );
}

/** Starts the stock library with its connection limit raised: with its default of one connection it serves no pool. */
export async function startStock(): Promise<ServerProcess> {
  return await start([join(import.meta.dirname, "stock-server.ts"), await engineTemplate()], undefined);
}

async function start(args: readonly string[], exitCode: number | undefined): Promise<ServerProcess> {
  const child = spawn(process.execPath, args, { cwd: root, env: cleanEnvironment(), stdio: ["pipe", "pipe", "pipe"] });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    log = (log + text).slice(-10_000);
  });
  const ended = once(child, "close").then(() => process.off("exit", kill));
  const ready = await Promise.race([
    once(createInterface({ input: child.stdout }), "line"),
    ended.then(() => {
      throw new Error(`the server ended before it was ready: ${log}`);
    }),
  ]);
  const { url, port, migrationsApplied, certificateFile } = JSON.parse(ready[0] as string);
  let stopped: Promise<void> | undefined;
  return {
    url,
    host: "127.0.0.1",
    port,
    migrationsApplied: migrationsApplied ?? [],
    certificateFile: certificateFile ?? undefined,
    log: () => log,
    expectHealthy: () => expectHealthy(child, url, () => log),
    stop: () => {
      stopped ??= stop(child, ended, exitCode, () => log);
      return stopped;
    },
  };
}

async function expectHealthy(child: ChildProcess, url: string, log: () => string): Promise<void> {
  expect(child.exitCode, log()).toBeNull();
  const sql = postgres(url, { max: 1, connect_timeout: 60 });
  try {
    expect(await sql`select 6 * 7 as answer`).toEqual([{ answer: 42 }]);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function stop(child: ChildProcess, ended: Promise<unknown>, exitCode: number | undefined, log: () => string) {
  const endedBefore = child.exitCode;
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  await ended;
  clearTimeout(timer);
  if (exitCode === undefined) return;
  expect(endedBefore, `the server ended on its own: ${log()}`).toBeNull();
  expect(child.exitCode, log()).toBe(exitCode);
}
