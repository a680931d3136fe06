/**
 * A long round of the fuzzer of `npm run fuzz`, with new cases each time.
 *
 * @module-tag long
 */
import { test } from "vitest";
import { checkFuzz } from "../support/fuzz.ts";
import { runSeed } from "../support/random.ts";

test(`whatever clients say, cut off or leave unread, a new one is served (SEED=${runSeed})`, () =>
  checkFuzz(String(runSeed), process.env.FUZZ_CASES ?? "440"));
