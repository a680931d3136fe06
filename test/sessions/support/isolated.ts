/**
 * Whether this Node can give each connection a session of its own.
 *
 * Owns: the one switch for all tests that need it, and what is said when it is off. Does not own: the tests.
 * Invariant: where it is on, a server with one session for all is a failure and not a skipped test.
 */
import type { TestContext } from "vitest";

/** Another server to test in place of ours: the URL of a superuser. Use it with --no-file-parallelism. */
export const givenServer = process.env.TEST_SESSIONS_URL;

/** The switch. */
export const isolatedSessionsAvailable =
  givenServer !== undefined || "Suspending" in (globalThis as unknown as { WebAssembly: object }).WebAssembly;

const reason = "NOT RUN: this Node cannot suspend WebAssembly (24 or newer can)";

/** Skips the test, saying why, unless the switch is on. */
export function requireIsolatedSessions(context: TestContext): void {
  if (!isolatedSessionsAvailable) context.skip(reason);
}
