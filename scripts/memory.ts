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
import { surroundings } from "./bench/machine.ts";
import { build } from "./build.ts";
import { oneOf, parseOptions, runScript, whole } from "./command-line.ts";
import { measure } from "./memory/measure.ts";

interface MemoryOptions {
  /** How much goes through the server. */
  readonly megabytes: number;
  readonly modes: readonly Sessions[];
}

type Sessions = (typeof bothSessions)[number];
const bothSessions = ["shared", "isolated"] as const;

const help = `npm run memory -- [options]

  --megabytes N    how large the result and the COPY are, 0 to 100000 (default 1000)
  --sessions MODE  shared or isolated (default: both, one after the other)
  --help           this text
`;

await runScript({ help, read, run });

function read(argv: readonly string[]): MemoryOptions | "help" {
  const known = { megabytes: { type: "string" }, sessions: { type: "string" }, help: { type: "boolean" } } as const;
  const { megabytes = "1000", sessions, help: isHelp } = parseOptions(argv, known, help);
  if (isHelp) return "help";
  return {
    megabytes: whole("--megabytes", megabytes, 0, 100_000),
    modes: sessions === undefined ? bothSessions : [oneOf("--sessions", sessions, bothSessions)],
  };
}

async function run({ megabytes, modes }: MemoryOptions): Promise<void> {
  const { date, node, pglite, cpu, cores, os, loadBefore } = surroundings();
  console.log(`${date}, Node ${node}, PGlite ${pglite}, ${cpu} (${cores} cores), ${os}, load ${loadBefore.toFixed(1)}`);
  await build();
  const root = mkdtempSync(join(tmpdir(), "pglite-devdb-memory-"));
  process.once("exit", () => rmSync(root, { recursive: true, force: true }));
  for (const sessions of modes) {
    // A cache that is empty, and then is not.
    process.env.XDG_CACHE_HOME = join(root, `cache-${sessions}`);
    for (const [start, db] of [
      ["first start of all", "memory://"],
      ["memory", "memory://"],
      ["directory", join(root, `data-${sessions}`)],
      ["directory again", join(root, `data-${sessions}`)],
    ] as const) {
      const isShort = start === "first start of all" || start === "directory again";
      const { firstRowMs, startMb, idleMb, peaksMb } = await measure({ sessions, db }, isShort ? 0 : megabytes);
      const peaks = [...peaksMb].map(([what, peak]) => `${what} ${mb(peak)}`);
      const figures = [
        `first row ${Math.round(firstRowMs)} ms`,
        `start ${mb(startMb)}`,
        `idle ${mb(idleMb)}`,
        ...peaks,
      ];
      console.log(`${sessions}, ${start}: ${figures.join(", ")}`);
    }
  }
}

function mb(value: number | undefined): string {
  return value === undefined ? "?" : `${Math.round(value)} MB`;
}
