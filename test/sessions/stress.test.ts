/** A short round of `npm run stress`, with choices that do not change; a long one is in `stress.long.test.ts`. */
import { test } from "vitest";
import { requireIsolatedSessions } from "./support/isolated.ts";
import { checkStress } from "./support/stress.ts";

const minutes = process.env.STRESS_MINUTES ?? "0.06";
const seed = process.env.SEED ?? "1";

test(`whatever ten clients do, sums, log and notifications are exact, also after kills (SEED=${seed})`, {
  tags: "long",
}, async (context) => {
  requireIsolatedSessions(context);
  await checkStress(seed, minutes);
});
