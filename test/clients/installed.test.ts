/**
 * One line that says which clients are absent, so that nobody takes a run without them for a complete one.
 */
import { test } from "vitest";
import { clientNames, inCi, isInstalled } from "./support/installed.ts";

test("every client that the tests use is installed", (context) => {
  const absent = clientNames.filter((name) => !isInstalled(name));
  if (absent.length === 0) return;
  const summary = `NOT TESTED, as not installed: ${absent.join(", ")} (scripts/install-test-clients.sh)`;
  if (inCi()) throw new Error(summary);
  context.skip(summary);
});
