/**
 * `node --import` of the processes of node:test: leads one to its database before its test file is imported.
 *
 * Invariant: a process that a test starts has this in its NODE_OPTIONS, too, and keeps the database that the test has led it to.
 */
import { isUnnamedWorker, leadToWorker } from "./run-address.ts";

if (isUnnamedWorker()) leadToWorker(process.env.NODE_TEST_WORKER_ID ?? String(process.pid));
