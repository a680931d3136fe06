/**
 * kill -9 under load and in the first start, often, and with fsync.
 *
 * @module-tag long
 */
import { test } from "vitest";
import { checkKillNine } from "../support/kill-nine.ts";
import { runSeed } from "../support/random.ts";

test.each([
  ["isolated", "off", 8, 2],
  // Each start of these syncs a whole database, which takes long.
  ["isolated", "on", 2, 0],
] as const)(`%s sessions, fsync %s: %i rounds after %i first starts, seed ${runSeed}`, checkKillNine);
