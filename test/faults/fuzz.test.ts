/** A short round of the fuzzer of `npm run fuzz`, with cases that do not change; a long one is in `fuzz.long.test.ts`. */
import { test } from "vitest";
import { checkFuzz } from "../support/fuzz.ts";

// One round of the kinds.
const cases = process.env.FUZZ_CASES ?? "22";
const seed = process.env.SEED ?? "1";

test(`whatever clients say, cut off or leave unread, a new one is served (SEED=${seed})`, () => checkFuzz(seed, cases));
