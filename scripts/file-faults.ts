/**
 * `npm run test:file-faults -- [--rounds N] [--faults N] [--seed N] [--fsync on|off]`: lets file
 * calls of the built server fail, and looks whether a row is missing whose COMMIT was answered, anything hangs, or nobody was told.
 *
 * Owns: the command line. Everything else is in `file-faults/`: start at `rounds.ts`.
 * Invariant: the seed is printed first; exit 1 if anything is wrong, and then the data directory stays.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ExitCode } from "../src/errors.ts";
import { build } from "./build.ts";
import { anySeed, oneOf, parseOptions, runScript, whole } from "./command-line.ts";
import { type FileFaultsOptions, runFileFaults } from "./file-faults/rounds.ts";

type Options = Omit<FileFaultsOptions, "root" | "log">;

const help = `npm run test:file-faults -- [options]

  --rounds N        how many servers are started (default 50)
  --faults N        faults in the life of each (default 4)
  --seed N          the same seed gives the same choices (default: a new one, printed)
  --fsync MODE      on or off (default off)
  --help            this text
`;

await runScript({ help, read, run });

function read(argv: readonly string[]): Options | "help" {
  const text = { type: "string" } as const;
  const known = {
    rounds: text,
    faults: text,
    seed: text,
    fsync: text,
    help: { type: "boolean" },
  } as const;
  const values = parseOptions(argv, known, help);
  if (values.help) return "help";
  return {
    rounds: whole("--rounds", values.rounds ?? "50", 1, 1e6),
    faults: whole("--faults", values.faults ?? "4", 1, 1e6),
    seed: values.seed === undefined ? anySeed() : whole("--seed", values.seed, 0, 2 ** 32 - 1),
    fsync: oneOf("--fsync", values.fsync ?? "off", ["on", "off"]),
  };
}

async function run(options: Options): Promise<void> {
  console.log(`file-faults: seed ${options.seed}`);
  await build();
  const root = mkdtempSync(join(tmpdir(), "pglite-devdb-file-faults-"));
  const { wrong, ...numbers } = await runFileFaults({ ...options, root, log: (line) => console.log(line) });
  console.log(JSON.stringify(numbers));
  if (wrong.length === 0) return rmSync(root, { recursive: true, force: true });
  for (const sentence of wrong) console.error(sentence);
  console.error(`file-faults: failed with seed ${options.seed}; the data directory is in ${root}`);
  process.exitCode = ExitCode.failure;
}
