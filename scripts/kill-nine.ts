/**
 * `npm run test:kill-nine -- [--rounds N] [--first-starts N] [--seed N] [--writers N] [--changes N] [--longest-ms N]
 * [--sessions shared|isolated] [--subjects NAMES] [--fsync on|off]`: kills the built server with SIGKILL while clients write rows
 * and change objects of every kind, again and again, and looks whether anything is missing that was answered, or half there.
 *
 * Owns: the command line. Everything else is in `kill-nine/`: start at `rounds.ts`.
 * Invariant: the seed is printed first; exit 1 if anything is wrong, and then the data directory stays.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ExitCode } from "../src/errors.ts";
import { build } from "./build.ts";
import { anySeed, list, oneOf, parseOptions, runScript, whole } from "./command-line.ts";
import { subjectsOf } from "./kill-nine/changers.ts";
import { type KillNineOptions, runKillNine } from "./kill-nine/rounds.ts";

type Options = Omit<KillNineOptions, "directory" | "log">;

const subjectNames = subjectsOf("isolated", () => {}).map(({ subject }) => subject.name);
const help = `npm run test:kill-nine -- [options]

  --rounds N        how often the server is killed under load (default 200)
  --first-starts N  how often a first start is killed before that (default 20)
  --seed N          the same seed gives the same choices (default: a new one, printed)
  --writers N       clients that write, 1 to 60 (default 6)
  --changes N       how many changes of objects are waited for at most before a kill (default 40)
  --longest-ms N    the longest time from then to the kill (default 200)
  --sessions MODE   shared or isolated (default isolated); what cannot be had with shared ones is left out, and named
  --subjects NAMES  what is changed beside the rows, separated by commas (default all: ${subjectNames.join(", ")})
  --fsync MODE      on or off (default off)
  --help            this text
`;

await runScript({ help, read, run });

function read(argv: readonly string[]): Options | "help" {
  const text = { type: "string" } as const;
  const known = {
    ...{ rounds: text, "first-starts": text, seed: text, writers: text, changes: text, "longest-ms": text },
    ...{ sessions: text, subjects: text, fsync: text, help: { type: "boolean" } as const },
  };
  const values = parseOptions(argv, known, help);
  if (values.help) return "help";
  const sessions = oneOf("--sessions", values.sessions ?? "isolated", ["shared", "isolated"]);
  const fsync = oneOf("--fsync", values.fsync ?? "off", ["on", "off"]);
  return {
    rounds: whole("--rounds", values.rounds ?? "200", 0, 1e6),
    firstStarts: whole("--first-starts", values["first-starts"] ?? "20", 0, 1e6),
    seed: values.seed === undefined ? anySeed() : whole("--seed", values.seed, 0, 2 ** 32 - 1),
    writers: whole("--writers", values.writers ?? "6", 1, 60),
    changes: whole("--changes", values.changes ?? "40", 0, 1e6),
    longestMs: whole("--longest-ms", values["longest-ms"] ?? "200", 1, 1e6),
    sessions,
    ...(values.subjects === undefined ? {} : { subjects: list("--subjects", values.subjects, subjectNames) }),
    server: ["--fsync", fsync],
  };
}

async function run(options: Options): Promise<void> {
  console.log(`kill-nine: seed ${options.seed}`);
  await build();
  const root = mkdtempSync(join(tmpdir(), "pglite-devdb-kill-nine-"));
  const directory = join(root, "data");
  const { wrong, ...numbers } = await runKillNine({ ...options, directory, log: (line) => console.log(line) });
  console.log(JSON.stringify(numbers));
  if (wrong.length === 0) return rmSync(root, { recursive: true, force: true });
  for (const sentence of wrong) console.error(sentence);
  console.error(`kill-nine: failed with seed ${options.seed}; the data directory is ${directory}`);
  process.exitCode = ExitCode.failure;
}
