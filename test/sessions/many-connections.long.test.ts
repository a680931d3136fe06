/**
 * A thousand connections open at once, each with a session of its own.
 *
 * @module-tag long
 */
import { test } from "vitest";
import { requireIsolatedSessions } from "./support/isolated.ts";
import { checkManyConnections } from "./support/many-connections.ts";

test("each has its own backend, settings and temporary table; one more is refused; nothing is left of them", async (context) => {
  requireIsolatedSessions(context);
  await checkManyConnections(1000);
});
