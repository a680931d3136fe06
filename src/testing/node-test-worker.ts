/**
 * The `node --import` module of node:test's processes: points a process to its database before its test file is imported.
 *
 * Invariant: a process that a test starts has this in its NODE_OPTIONS, too, and keeps the database that the test gave it.
 */
import { isUnnamedWorker, leadToWorker } from "./run-address.ts";

if (isUnnamedWorker()) leadToWorker(process.env.NODE_TEST_WORKER_ID ?? String(process.pid));
