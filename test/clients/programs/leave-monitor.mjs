/**
 * Writes down what nobody has caught, for whatever process is told to load it (`node --import`).
 *
 * Owns: one line in LEAVE_REPORT for each such error. Invariant: what a runner does about the error is not changed.
 */
import { appendFileSync } from "node:fs";

process.on("uncaughtExceptionMonitor", (error) => {
  const words = `${error?.code} ${error?.message}`.slice(0, 100).replaceAll(/\s+/g, " ");
  appendFileSync(process.env.LEAVE_REPORT, `uncaught ${words}\n`);
});
