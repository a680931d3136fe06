/**
 * Suites that end their pool and close their database, in real test runners: nobody is left with an error.
 *
 * Owns: a few rounds on the installed Node. The long ones, also with jest and on other Nodes: `npm run test:leave`.
 */
import { expect, test } from "vitest";
import { type Rounds, runRounds } from "./support/leave-rounds.ts";

const suites: Rounds[] = [
  { runner: "vitest", driver: "pg", rounds: 3 },
  { runner: "node:test", driver: "pg", rounds: 3 },
  { runner: "vitest", driver: "postgres.js", rounds: 12, keepsEngine: true },
  { runner: "vitest", driver: "drizzle", rounds: 12, keepsEngine: true },
  { runner: "node:test", driver: "postgres.js", rounds: 12, keepsEngine: true },
  { runner: "node:test", driver: "drizzle", rounds: 12, keepsEngine: true },
];

async function checkRounds(suite: Rounds): Promise<void> {
  const { all, ...outcome } = await runRounds(suite);
  expect(outcome, all).toEqual({ code: 0, done: suite.rounds, disturbed: 0, errors: [] });
}

const [one, ...others] = suites;
test.each([one!])("$runner with $driver", checkRounds);
test.each(others)("$runner with $driver", { tags: "long" }, checkRounds);
