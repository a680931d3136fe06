/**
 * `npm run first-minutes -- [--write]`: types what the README tells a reader to type, in its order, in an empty folder on a machine that
 * has never seen the package, and prints for how long he waits.
 *
 * Owns: the order, what counts as waiting, the table. Does not own: finding the commands (`test/package/support/readme.ts`), a typed
 * command (`first-minutes/typed.ts`).
 * Invariant: the caches of npm and of the server are empty at the beginning; what npm does for itself is told apart and not counted.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ExitCode } from "../src/errors.ts";
import { environmentOf } from "../test/package/support/installers.ts";
import { commands, programs } from "../test/package/support/readme.ts";
import { writeReadmeProject } from "../test/package/support/readme-project.ts";
import { serveRegistry } from "../test/package/support/registry.ts";
import { makeDirectory } from "./bench/leftovers.ts";
import { surroundings } from "./bench/machine.ts";
import { build } from "./build.ts";
import { parseOptions, runScript, whole } from "./command-line.ts";
import { typing } from "./first-minutes/typed.ts";
import { describeRun, table, writeMeasured } from "./measured.ts";

/** What a reader does, and for how long he waits. */
interface Waited {
  readonly what: string;
  readonly ms: number;
  /** CPU time of what has ended meanwhile, with all that it has waited for; 0 where the system does not say. */
  readonly cpuMs: number;
  /** Whether it is npm for which he waits, whatever the package is. */
  readonly isNpms?: boolean;
}

const help = `npm run first-minutes -- [options]

  --write         write the figures into docs/performance.md, too
  --at-most SECS  exit 1 if the waiting is longer, 1 to 3600 (default 30)
  --help          this text
`;

await runScript({ help, read, run });

function read(argv: readonly string[]): { write: boolean; atMostMs: number } | "help" {
  const known = { write: { type: "boolean" }, "at-most": { type: "string" }, help: { type: "boolean" } } as const;
  const { write = false, "at-most": atMost = "30", help: isHelp } = parseOptions(argv, known, help);
  return isHelp ? "help" : { write, atMostMs: 1000 * whole("--at-most", atMost, 1, 3600) };
}

async function run({ write, atMostMs }: { write: boolean; atMostMs: number }): Promise<void> {
  const around = surroundings();
  await build();
  const all = await typeAll();
  const ours = all.filter(({ isNpms }) => !isNpms);
  const ms = ours.reduce((sum, waited) => sum + waited.ms, 0);
  const cpuMs = ours.reduce((sum, waited) => sum + waited.cpuMs, 0);
  const cpu =
    cpuMs > 0 ? ` (${seconds(cpuMs)} of CPU time, which is what depends least on who else uses the machine)` : "";
  const rows = all.map(({ what, ms, isNpms }) => [what, isNpms ? `npm: ${seconds(ms)}` : seconds(ms)]);
  const text = [
    `The README's commands in their order, in an empty folder, with empty caches of npm and of the server: ${seconds(ms)} of waiting in all,`,
    `without what npm does by itself${cpu}. \`npm run first-minutes\` ${describeRun(around)}:`,
    "",
    table(["", "waiting"], [...rows, ["in all, without npm's", seconds(ms)]]),
  ].join("\n");
  console.log(text);
  if (write) writeMeasured("first-minutes", text);
  if (ms <= atMostMs) return;
  console.error(`that is more than ${seconds(atMostMs)}`);
  process.exitCode = ExitCode.failure;
}

async function typeAll(): Promise<Waited[]> {
  const [project, home, packed] = [makeDirectory(), makeDirectory(), makeDirectory()];
  writeReadmeProject(project);
  const registry = await serveRegistry(packed);
  const cache = join(home, ".cache");
  mkdirSync(cache);
  const environment = {
    ...environmentOf(home, registry.url, dirname(process.execPath)),
    XDG_CACHE_HOME: cache,
  };
  const type = typing(project, environment);
  const [start, install, keep, runTests, ...others] = commands;
  if (!start || !install || !keep || !runTests || others.length > 0 || programs.length !== 1)
    throw new Error("the README has other commands than this script knows: say here what a reader waits for");
  const waited: Waited[] = [];
  let cpuBefore = childrenCpuMs();
  const wait = async (what: string, ended: Promise<number>, isNpms = false) => {
    const ms = await ended;
    const cpu = childrenCpuMs();
    waited.push({ what, ms, cpuMs: cpu - cpuBefore, isNpms });
    cpuBefore = cpu;
  };
  const name = (command: string) => `\`${command}\``;
  try {
    // The same as below, but that it starts nothing.
    await wait("npx gets the package", type(`${start.command} --version`).ended(), true);
    const shown = type(start.command);
    await wait(`${name(start.command)}, until it is ready`, shown.says(start.prints));
    await wait("Ctrl-C", shown.interrupt());
    await wait(name(install.command), type(install.command).ended(), true);
    await wait("`npm install` of a driver", type("npm install --save-dev pg").ended(), true);
    const kept = type(keep.command);
    await wait(`${name(keep.command)}, until it is ready`, kept.says(/URL +postgresql:.*\n/));
    await wait("Ctrl-C", kept.interrupt());
    await wait(name(runTests.command), type(runTests.command).ended());
    writeFileSync(join(project, "program.js"), programs[0]!);
    await wait("the program with `startDevDb`", type("node program.js").ended());
  } finally {
    registry.close();
  }
  return waited;
}

/** Of all processes that this one has waited for, and theirs: the fields cutime and cstime of proc(5), in hundredths of a second. */
function childrenCpuMs(): number {
  if (process.platform !== "linux") return 0;
  const stat = readFileSync("/proc/self/stat", "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return 10 * (Number(fields[13]) + Number(fields[14]));
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
