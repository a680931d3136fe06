/**
 * Suites that end their pool and close their database, in real test runners: nobody is left with an error.
 *
 * Owns: a few rounds on the installed Node. The long ones, also with jest and on other Nodes: `npm run test:leave`.
 */
import { expect, test } from "vitest";
import { type Rounds, runRounds } from "./support/leave-rounds.ts";

const suites: Rounds[] = [
  { runner: "vitest", driver: "pg", sessions: "isolated", rounds: 3 },
  { runner: "node:test", driver: "pg", sessions: "shared", rounds: 3 },
  { runner: "vitest", driver: "postgres.js", sessions: "shared", rounds: 12, keepsEngine: true },
  { runner: "vitest", driver: "drizzle", sessions: "isolated", rounds: 12, keepsEngine: true },
  { runner: "node:test", driver: "postgres.js", sessions: "isolated", rounds: 12, keepsEngine: true },
  { runner: "node:test", driver: "drizzle", sessions: "shared", rounds: 12, keepsEngine: true },
];

async function checkRounds(suite: Rounds): Promise<void> {
  const { all, ...outcome } = await runRounds(suite);
  expect(outcome, all).toEqual({ code: 0, done: suite.rounds, disturbed: 0, errors: [] });
}

const [one, ...others] = suites;
test.each([one!])("$runner with $driver, $sessions sessions", checkRounds);
test.each(others)("$runner with $driver, $sessions sessions", { tags: "long" }, checkRounds);
