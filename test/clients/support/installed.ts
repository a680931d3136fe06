/**
 * Which clients this machine has.
 *
 * Owns: finding them, and what happens to a test whose client is absent: skipped with a reason, but failed in CI.
 * Does not own: installing them (scripts/install-test-clients.sh).
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import type { TestContext } from "vitest";

/** Debian's python packages belong to Debian's python, whatever else is on the PATH. */
export const python = process.env.TEST_PYTHON ?? "/usr/bin/python3";

/** Where Debian puts the JDBC driver. */
export const jdbcDriver = process.env.TEST_JDBC_DRIVER ?? "/usr/share/java/postgresql.jar";

const probes = {
  psql: () => succeeds("psql", "--version"),
  pgbench: () => succeeds("pgbench", "--version"),
  pg_dump: () => succeeds("pg_dump", "--version"),
  pg_isready: () => succeeds("pg_isready", "--version"),
  "psycopg 3": () => succeeds(python, "-c", "import psycopg"),
  psycopg2: () => succeeds(python, "-c", "import psycopg2"),
  asyncpg: () => succeeds(python, "-c", "import asyncpg"),
  SQLAlchemy: () => succeeds(python, "-c", "import sqlalchemy, psycopg2"),
  "pytest-xdist": () => succeeds(python, "-c", "import pytest, xdist, psycopg"),
  Django: () => succeeds(python, "-c", "import django, psycopg2"),
  parallel_rspec: () => succeeds("parallel_rspec", "--version") && succeeds("ruby", "-e", "require 'pg'"),
  JDBC: () => existsSync(jdbcDriver) && succeeds("java", "-version") && succeeds("javac", "-version"),
};

/** A client that is not a dependency of this package. */
export type ClientName = keyof typeof probes;

/** Every client that the tests use. */
export const clientNames = Object.keys(probes) as ClientName[];

const known = new Map<ClientName, boolean>();

/** Whether the client is installed. */
export function isInstalled(name: ClientName): boolean {
  let installed = known.get(name);
  if (installed === undefined) {
    installed = probes[name]();
    known.set(name, installed);
  }
  return installed;
}

/** Skips the test, saying why, if the client is not installed; in CI (`CI` is set) fails it instead. */
export function requireClient(context: TestContext, name: ClientName): void {
  if (isInstalled(name)) return;
  const reason = `${name} is not installed: scripts/install-test-clients.sh installs it on Debian`;
  if (inCi()) throw new Error(reason);
  context.skip(reason);
}

/** Whether an absent client is a failure. */
export function inCi(): boolean {
  return !["", "0", "false"].includes(process.env.CI ?? "");
}

/** The major version that a PostgreSQL tool reports. */
export function majorVersion(tool: "psql" | "pgbench" | "pg_dump"): number {
  const { stdout } = spawnSync(tool, ["--version"], { encoding: "utf8" });
  return Number(/\s(\d+)/.exec(stdout)?.[1]);
}

function succeeds(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}
