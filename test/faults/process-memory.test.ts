/**
 * The memory of a fresh server's whole process, in megabytes: its start, the seconds after, a little traffic. What large results
 * add is in `large-results.test.ts`, as what is in use after a collection, and in `process-memory.long.test.ts`, as the system
 * sees it.
 *
 * Linux only, where the system tells a process's peak.
 */
import { expect, type TestContext, test } from "vitest";
import { measure } from "../../scripts/memory/measure.ts";
import { requireIsolatedSessions } from "../sessions/support/isolated.ts";
import { report } from "../support/report.ts";

const megabytes = 5;
/** COPY FROM STDIN leaves more garbage behind: each read of a socket is a buffer of its own. */
const copyMb = 40;
/** Far below what V8 takes to optimize PostgreSQL's parser. */
const startMbMore = 100;

test.for([
  ["shared", 300],
  ["isolated", 400],
] as const)(
  "a fresh server with %s sessions stays below %i MB",
  { tags: "long" },
  async ([sessions, limitMb], context: TestContext) => {
    if (process.platform !== "linux") context.skip("the memory of a process is read from Linux's /proc");
    if (sessions === "isolated") requireIsolatedSessions(context);
    // A machine's first start is measured in test/cli/first-start.long.test.ts.
    await measure({ sessions, db: "memory://" }, 0);
    const { startMb, idleMb, peaksMb } = await measure({ sessions, db: "memory://" }, megabytes);
    const peaks = [...peaksMb].map(([what, mb]) => `${what} ${Math.round(mb!)}`).join(", ");
    report(`${sessions}: start ${Math.round(startMb!)}, idle ${Math.round(idleMb!)}, ${peaks} MB`);
    expect(startMb).toBeLessThan(limitMb + startMbMore);
    expect(idleMb).toBeLessThan(limitMb);
    for (const [what, mb] of peaksMb) {
      expect(mb, what).toBeLessThan(what === "COPY FROM STDIN" ? limitMb + copyMb : limitMb);
    }
  },
);
