/**
 * vitest's first `setupFiles`: leads a worker to its database before the test file is imported.
 *
 * Invariant: it also replaces what vitest's own `env` option has set, which many projects fill from `.env`.
 */
import { inject } from "vitest";
import { leadToWorker } from "./run-address.ts";

leadToWorker(process.env.VITEST_POOL_ID ?? "1", inject("pgliteDevDb")?.environment);
