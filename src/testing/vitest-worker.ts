/**
 * vitest's first `setupFiles`: points a worker to its database before the test file is imported.
 *
 * Invariant: it also replaces the values of vitest's own `env` option, which many projects fill from `.env`.
 */
import * as vitest from "vitest";
import { leadToWorker } from "./run-address.ts";
import { rememberVitest } from "./vitest-of-worker.ts";

rememberVitest(vitest);

leadToWorker(process.env.VITEST_POOL_ID ?? "1", vitest.inject("pgliteDevDb")?.environment);
