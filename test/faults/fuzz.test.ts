/** A short round of the fuzzer of `npm run fuzz`, with cases that do not change; a long one is in `fuzz.long.test.ts`. */
import { test } from "vitest";
import { checkFuzz } from "../support/fuzz.ts";

// Two rounds of the kinds: each comes at least twice.
const cases = process.env.FUZZ_CASES ?? "44";
const seed = process.env.SEED ?? "1";

test(`whatever clients say, cut off or leave unread, a new one is served (SEED=${seed})`, () => checkFuzz(seed, cases));
