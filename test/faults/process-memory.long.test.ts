/**
 * The memory of the whole process, in megabytes: the peak of a start, and what large results and COPY add.
 *
 * Linux only, where the system tells a process's peak. `npm run memory` has the figures for a gigabyte.
 *
 * @module-tag long
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { measure } from "../../scripts/memory/measure.ts";
import { report } from "../support/report.ts";

const megabytes = 150;
const limitMb = 400;
/** COPY FROM STDIN leaves more garbage behind: each read of a socket is a buffer of its own. */
const copyMb = 40;
/** Rewriting and optimizing, for a moment. */
const startMbMore = 60;

const canIsolate = "Suspending" in (globalThis as unknown as { WebAssembly: object }).WebAssembly;

describe.skipIf(process.platform !== "linux")("a process", () => {
  beforeAll(async () => {
    // A machine's first start is measured in test/cli/first-start.long.test.ts.
    await measure({ sessions: "isolated", db: "memory://" }, 0);
  });

  test.each(["memory", "directory"])(`in %s stays below its limit`, async (kind) => {
    if (!canIsolate) return;
    const root = mkdtempSync(join(tmpdir(), "process-memory-"));
    onTestFinished(() => rmSync(root, { recursive: true, force: true }));
    const db = kind === "memory" ? "memory://" : join(root, "data");
    const { startMb, idleMb, peaksMb } = await measure({ sessions: "isolated", db }, megabytes);
    const peaks = [...peaksMb].map(([what, mb]) => `${what} ${Math.round(mb!)}`).join(", ");
    report(`${kind}: start ${Math.round(startMb!)}, idle ${Math.round(idleMb!)}, ${peaks} MB`);
    expect(startMb).toBeLessThan(limitMb + startMbMore);
    expect(peaksMb.get("a result to a slow reader")).toBeLessThan(limitMb);
    expect(peaksMb.get("COPY TO STDOUT to a slow reader")).toBeLessThan(limitMb);
    expect(peaksMb.get("COPY FROM STDIN")).toBeLessThan(limitMb + copyMb);
  });
});
