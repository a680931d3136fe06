/**
 * jest's first `setupFiles`: points a worker to its database before the test file is imported.
 *
 * Invariant: jest loads this as CommonJS, so that it works with `require` and with ES modules.
 */
import { leadToWorker } from "./run-address.ts";

leadToWorker(process.env.JEST_WORKER_ID ?? "1");
