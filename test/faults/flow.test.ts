/**
 * A short round of `npm run flow`: random conversations that vary how much goes both ways at once, against the built library in a
 * process of its own. FLOW_PLAYS and SEED from the environment make it longer and another one.
 */
import { expect, test } from "vitest";
import { readFlowOptions } from "../../scripts/flow/options.ts";
import { formatFailure } from "../../scripts/flow/report.ts";
import { runFlow } from "../../scripts/flow/run-flow.ts";
import { runSeed } from "../support/random.ts";

const plays = process.env.FLOW_PLAYS ?? "400";

test(`both ends finish whatever goes both ways (SEED=${runSeed})`, async () => {
  const seed = String(runSeed % 2 ** 31);
  const options = readFlowOptions(["--seed", seed, "--plays", plays, "--large", "20"]);
  if (options === "help") throw new Error("the options ask for help");
  const { failure, plays: played } = await runFlow(options, () => {});
  expect(failure && formatFailure(options, failure)).toBeUndefined();
  expect(played).toBe(Number(plays));
});
