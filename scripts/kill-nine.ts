/**
 * `npm run test:kill-nine -- [--rounds N] [--first-starts N] [--seed N] [--writers N] [--longest-ms N]
 * [--sessions shared|isolated] [--fsync on|off]`: kills the built server with SIGKILL under write load, again and again, and
 * looks whether a row is missing whose COMMIT was answered.
 *
 * Owns: the command line. Everything else is in `kill-nine/`: start at `rounds.ts`.
 * Invariant: the seed is printed first; exit 1 if anything is wrong, and then the data directory stays.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { leaveNothingBehind } from "./bench/leftovers.ts";
import { build } from "./build.ts";
import { runKillNine } from "./kill-nine/rounds.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "200" },
    "first-starts": { type: "string", default: "20" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    writers: { type: "string", default: "6" },
    "longest-ms": { type: "string", default: "1000" },
    sessions: { type: "string", default: "shared" },
    fsync: { type: "string", default: "off" },
  },
});
const seed = whole("seed");
console.log(`kill-nine: seed ${seed}`);
await build();
leaveNothingBehind();
const root = mkdtempSync(join(tmpdir(), "pglite-devdb-kill-nine-"));
const figures = await runKillNine({
  directory: join(root, "data"),
  rounds: whole("rounds"),
  firstStarts: whole("first-starts"),
  seed,
  writers: whole("writers"),
  longestMs: whole("longest-ms"),
  server: ["--sessions", values.sessions, "--fsync", values.fsync],
  log: (line) => console.log(line),
});
const { wrong, ...numbers } = figures;
console.log(JSON.stringify(numbers));
if (wrong.length > 0) {
  for (const sentence of wrong) console.error(sentence);
  console.error(`kill-nine: failed with seed ${seed}; the data directory is ${join(root, "data")}`);
  process.exitCode = 1;
} else rmSync(root, { recursive: true, force: true });

function whole(name: keyof typeof values): number {
  const text = values[name] ?? "";
  if (!/^\d+$/.test(text)) {
    console.error(`kill-nine: --${name} ${JSON.stringify(text)}: takes a whole number`);
    process.exit(2);
  }
  return Number(text);
}
