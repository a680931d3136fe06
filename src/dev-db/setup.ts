/**
 * What brings a database to where it is used, beyond SQL: the setup, a command or a function, and a seed.
 *
 * Owns: their order behind the migrations, and the check of the seed's file. Does not own: running a seed and the
 * record of it (`migrate/`), a command's process (`shell-command.ts`), where code reaches the database (whoever starts it).
 */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import { MigrationError, UsageError } from "../errors.ts";
import {
  applySeed,
  type CodeSeed,
  functionSeed,
  isNewCodeSeed,
  moduleSeed,
  recordCodeSeed,
  runCodeSeed,
  type SqlEngine,
  seedKind,
} from "../migrate/index.ts";
import { type Log, nameOf, type Progress, type ResolvedOptions } from "../options.ts";
import { type ClientAddress, connectionEnvironment, connectionUrl, environmentWith } from "./address.ts";
import type { CleanupStack } from "./cleanup.ts";
import { startShellCommand } from "./shell-command.ts";

/** A seed that exists: a file of SQL, or code that gets a URL. */
type Seed = { readonly sql: string } | { readonly code: CodeSeed };

/** What follows the migrations. */
export interface SetupSteps {
  readonly setup: ResolvedOptions["setup"];
  readonly seed: Seed | undefined;
}

/** Calls `use` with an address by which the database can be reached for that time; `name`: of the step, for the log. */
export type Reach = (name: "setup" | "seed", use: (address: ClientAddress) => Promise<void>) => Promise<void>;

/** What running them needs. */
interface SetupContext {
  reach: Reach;
  cleanup: CleanupStack;
  cwd: string;
  log: Log;
  progress: Progress;
}

/** The steps that the options name. Throws a `UsageError` that names the option. */
export function findSetup(options: ResolvedOptions, cwd: string): SetupSteps {
  return { setup: options.setup, seed: findSeed(options, cwd) };
}

function findSeed(options: ResolvedOptions, cwd: string): Seed | undefined {
  const { seed } = options;
  if (seed === undefined) return undefined;
  if (typeof seed === "function") return { code: functionSeed(seed) };
  const file = resolve(cwd, seed);
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) {
    throw new UsageError(`${nameOf(options, "seed")}: there is no file ${file}`);
  }
  return seedKind(file) === "sql" ? { sql: file } : { code: moduleSeed(file) };
}

/** Runs the setup, and the seed unless the database has had it. Rejects with a `MigrationError`. */
export async function runSetup(engine: SqlEngine, { setup, seed }: SetupSteps, context: SetupContext): Promise<void> {
  const { log, progress } = context;
  if (setup !== undefined) {
    // What code of others writes in this process would be in the midst of what is shown.
    progress(typeof setup === "string" ? `setup: ${setup}` : undefined);
    await context.reach("setup", (address) =>
      typeof setup === "string" ? runCommand(setup, address, context) : runFunction(setup, address),
    );
  }
  if (seed === undefined) return;
  if ("sql" in seed) await applySeed(engine, seed.sql, log, progress);
  else if (await isNewCodeSeed(engine, seed.code, log)) {
    progress(undefined);
    await context.reach("seed", (address) => runCodeSeed(seed.code, connectionUrl(address)));
    await recordCodeSeed(engine, seed.code);
  }
}

async function runCommand(command: string, address: ClientAddress, { cleanup, cwd, log }: SetupContext): Promise<void> {
  const environment = environmentWith(process.env, connectionEnvironment(address));
  log("info", `setup: ${command}`);
  const running = await cleanup.open(
    async () => startShellCommand(command, { cwd, environment, onLine: (line) => log("info", `setup: ${line}`) }),
    (started) => started.stop(),
  );
  try {
    await running.ended;
  } catch (error) {
    throw new MigrationError(`the setup ${JSON.stringify(command)} ${(error as Error).message}`, { cause: error });
  }
}

async function runFunction(
  setup: Exclude<NonNullable<ResolvedOptions["setup"]>, string>,
  address: ClientAddress,
): Promise<void> {
  try {
    await setup(connectionUrl(address));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new MigrationError(`the setup failed: ${message}`, { cause: error });
  }
}
