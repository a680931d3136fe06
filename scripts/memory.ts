/**
 * `npm run memory -- [--megabytes N] [--sessions shared|isolated]`: prints how long a server takes to its first row and how
 * much memory it needs: started, idle, and while so much goes through it. With `--curve` it writes `docs/memory.md`: how the
 * memory goes up and down with what is in a database in memory.
 *
 * Owns: the command line and the table. Everything else is in `memory/`: start at `measure.ts` and `curve.ts`.
 * Invariant: what a figure depends on (date, versions, machine, load) is printed with it.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { surroundings } from "./bench/machine.ts";
import { build } from "./build.ts";
import { oneOf, parseOptions, runScript, whole } from "./command-line.ts";
import { type CurvePoint, memoryCurve } from "./memory/curve.ts";
import { curvePage, curvePicture } from "./memory/curve-page.ts";
import { measure } from "./memory/measure.ts";

interface MemoryOptions {
  /** How much goes through the server. */
  readonly megabytes: number;
  readonly modes: readonly Sessions[];
  /** How many databases the curve makes and drops; undefined for no curve. */
  readonly databases: number | undefined;
}

type Sessions = (typeof bothSessions)[number];
const bothSessions = ["shared", "isolated"] as const;

const help = `npm run memory -- [options]

  --megabytes N    how large the result and the COPY are, 0 to 100000 (default 1000)
  --sessions MODE  shared or isolated (default isolated)
  --curve          write docs/memory.md and its picture instead
  --databases N    how many databases the curve makes and drops, 0 to 10000 (default 200)
  --help           this text
`;

await runScript({ help, read, run });

function read(argv: readonly string[]): MemoryOptions | "help" {
  const [text, flag] = [{ type: "string" }, { type: "boolean" }] as const;
  const known = { megabytes: text, sessions: text, databases: text, curve: flag, help: flag } as const;
  const { megabytes = "1000", sessions, databases = "200", curve, help: isHelp } = parseOptions(argv, known, help);
  if (isHelp) return "help";
  return {
    megabytes: whole("--megabytes", megabytes, 0, 100_000),
    databases: curve ? whole("--databases", databases, 0, 10_000) : undefined,
    modes: [oneOf("--sessions", sessions ?? "isolated", bothSessions)],
  };
}

async function run({ megabytes, modes, databases }: MemoryOptions): Promise<void> {
  if (databases !== undefined) return drawCurves(modes, databases);
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

async function drawCurves(modes: readonly Sessions[], databases: number): Promise<void> {
  const around = surroundings();
  await build();
  const curves = new Map<string, readonly CurvePoint[]>();
  for (const sessions of modes) curves.set(sessions, await memoryCurve(sessions, databases));
  const directory = fileURLToPath(new URL("../docs", import.meta.url));
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "memory.md"), curvePage(curves, around, "memory.svg"));
  writeFileSync(join(directory, "memory.svg"), curvePicture(curves));
  for (const [sessions, points] of curves) {
    for (const point of points)
      console.log(`${sessions}, after ${point.after}: ${mb(point.residentMb)}, WAL ${mb(point.walMb)}`);
  }
}

function mb(value: number | undefined): string {
  return value === undefined ? "?" : `${Math.round(value)} MB`;
}
