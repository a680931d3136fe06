/**
 * A longer round of `npm run stress`, with new choices each time.
 *
 * @module-tag long
 */
import { test } from "vitest";
import { runSeed } from "../support/random.ts";
import { requireIsolatedSessions } from "./support/isolated.ts";
import { checkStress } from "./support/stress.ts";

test(`whatever ten clients do, sums, log and notifications are exact, also after kills (SEED=${runSeed})`, async (context) => {
  requireIsolatedSessions(context);
  await checkStress(String(runSeed), process.env.STRESS_MINUTES ?? "1");
});
