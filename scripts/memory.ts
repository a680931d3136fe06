/**
 * `npm run memory -- [--megabytes N] [--sessions shared|isolated]`: prints how long a server takes to its first row and how
 * much memory it needs: started, idle, and while so much goes through it.
 *
 * Owns: the command line and the table. Everything else is in `memory/`: start at `measure.ts`.
 * Invariant: what a figure depends on (date, versions, machine, load) is printed with it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { leaveNothingBehind } from "./bench/leftovers.ts";
import { surroundings } from "./bench/machine.ts";
import { build } from "./build.ts";
import { measure } from "./memory/measure.ts";

const { values } = parseArgs({
  options: { megabytes: { type: "string", default: "1000" }, sessions: { type: "string" } },
});
const modes = (["shared", "isolated"] as const).filter((mode) => (values.sessions ?? mode) === mode);
if (!/^\d+$/.test(values.megabytes) || modes.length === 0) {
  console.error("memory: --megabytes takes a whole number, --sessions takes shared or isolated");
  process.exit(2);
}
const { date, node, pglite, cpu, cores, os, loadBefore } = surroundings();
console.log(`${date}, Node ${node}, PGlite ${pglite}, ${cpu} (${cores} cores), ${os}, load ${loadBefore.toFixed(1)}`);
await build();
leaveNothingBehind();
const root = mkdtempSync(join(tmpdir(), "pglite-devdb-memory-"));
process.once("exit", () => rmSync(root, { recursive: true, force: true }));
const mb = (value: number | undefined): string => (value === undefined ? "?" : `${Math.round(value)} MB`);

for (const sessions of modes) {
  // A cache that is empty, and then is not.
  process.env.XDG_CACHE_HOME = join(root, `cache-${sessions}`);
  for (const [cache, db] of [
    ["first start of all", "memory://"],
    ["memory", "memory://"],
    ["directory", join(root, `data-${sessions}`)],
    ["directory again", join(root, `data-${sessions}`)],
  ] as const) {
    const isShort = cache === "first start of all" || cache === "directory again";
    const figures = await measure({ sessions, db }, isShort ? 0 : Number(values.megabytes));
    const peaks = [...figures.peaksMb].map(([what, peak]) => `${what} ${mb(peak)}`);
    const line = [
      `first row ${Math.round(figures.firstRowMs)} ms`,
      `start ${mb(figures.startMb)}`,
      `idle ${mb(figures.idleMb)}`,
    ];
    console.log(`${sessions}, ${cache}: ${[...line, ...peaks].join(", ")}`);
  }
}
