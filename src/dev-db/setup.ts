/**
 * What brings a database to where it is used, beyond SQL: the setup, a command or a function, and a seed.
 *
 * Owns: their order behind the migrations, and the check of the seed's file. Does not own: running a seed and the
 * record of it (`migrate/`), a command's process (`shell-command.ts`), where code reaches the database (whoever starts it).
 */
import { readdirSync, statSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { MigrationError, UsageError } from "../errors.ts";
import {
  applySeed,
  type CodeSeed,
  compareNaturally,
  functionSeed,
  isNewCodeSeed,
  isSeed,
  moduleSeed,
  NeedsPsqlError,
  recordCodeSeed,
  recordSeed,
  runCodeSeed,
  type SqlEngine,
  seedKind,
} from "../migrate/index.ts";
import { type DatabaseFunction, type Log, nameOf, type Progress, type ResolvedOptions } from "../options.ts";
import { type ClientAddress, connectionEnvironment, connectionUrl, environmentWith } from "./address.ts";
import type { CleanupStack } from "./cleanup.ts";
import { runPsql } from "./psql.ts";
import { startShellCommand } from "./shell-command.ts";

/** A seed that exists: a file of SQL, or code that gets a URL. */
type Seed = { readonly sql: string; readonly name: string } | { readonly code: CodeSeed };

/** What follows the migrations. */
export interface SetupSteps {
  readonly setup: ResolvedOptions["setup"];
  readonly seeds: readonly Seed[];
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
  const given = options.seed.flatMap((seed): readonly (string | DatabaseFunction)[] =>
    typeof seed === "function" ? [seed] : filesOf(seed, options, cwd),
  );
  const names = namesOf(given, cwd);
  return { setup: options.setup, seeds: given.map((seed, at) => seedOf(seed, names[at]!)) };
}

function seedOf(seed: string | DatabaseFunction, name: string): Seed {
  if (typeof seed === "function") return { code: functionSeed(seed, name) };
  return seedKind(seed) === "sql" ? { sql: seed, name } : { code: moduleSeed(seed, name) };
}

/** The files that a path or a pattern stands for, in name order; absolute. */
function filesOf(seed: string, options: ResolvedOptions, cwd: string): string[] {
  const name = nameOf(options, "seed");
  const path = resolve(cwd, seed);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isFile()) return [path];
  const found = stat?.isDirectory() ? readdirSync(path).map((file) => join(path, file)) : matching(seed, name, cwd);
  const seeds = found.filter(isSeed).sort(compareNaturally);
  if (seeds.length > 0) return seeds;
  if (stat) throw new UsageError(`${name}: the directory ${path} has no .sql file and no module`);
  throw new UsageError(`${name}: there is no file ${path}; expected a .sql file, a module, a directory or a pattern`);
}

function matching(pattern: string, name: string, cwd: string): string[] {
  if (!/[*?[{]/.test(pattern)) return [];
  const { globSync } = process.getBuiltinModule("node:fs");
  if (!globSync) throw new UsageError(`${name}: a pattern such as ${pattern} needs Node 22 or later`);
  return globSync(pattern, { cwd }).map((file) => resolve(cwd, file));
}

/** Each seed's name in the ledger: the file's name, or its path if several files have the same name. */
function namesOf(seeds: readonly (string | DatabaseFunction)[], cwd: string): string[] {
  const short = seeds.map((seed) => (typeof seed === "function" ? "(function)" : basename(seed)));
  return seeds.map((seed, at) => {
    const name = short[at]!;
    const before = short.slice(0, at).filter((other) => other === name).length;
    if (before === 0) return name;
    return typeof seed === "function" ? `(function ${before + 1})` : relative(cwd, seed);
  });
}

/** Runs the setup, and the seed unless the database has had it. Rejects with a `MigrationError`. */
export async function runSetup(engine: SqlEngine, { setup, seeds }: SetupSteps, context: SetupContext): Promise<void> {
  const { progress } = context;
  if (setup !== undefined) {
    // What code of others writes in this process would be in the midst of what is shown.
    progress(typeof setup === "string" ? `setup: ${setup}` : undefined);
    await context.reach("setup", (address) =>
      typeof setup === "string" ? runCommand(setup, address, context) : runFunction(setup, address),
    );
  }
  for (const seed of seeds) {
    if ("code" in seed) await runCode(engine, seed.code, context);
    else await runSql(engine, seed, context);
  }
}

async function runCode(engine: SqlEngine, code: CodeSeed, { reach, log, progress }: SetupContext): Promise<void> {
  if (!(await isNewCodeSeed(engine, code, log))) return;
  progress(undefined);
  await reach("seed", (address) => runCodeSeed(code, connectionUrl(address)));
  await recordCodeSeed(engine, code);
}

/** One that has commands of psql's is run by psql, if that is installed. */
async function runSql(
  engine: SqlEngine,
  { sql: file, name }: Extract<Seed, { readonly sql: string }>,
  { reach, log, progress }: SetupContext,
): Promise<void> {
  try {
    await applySeed(engine, file, log, progress, name);
  } catch (error) {
    if (!(error instanceof NeedsPsqlError)) throw error;
    await reach("seed", async (address) => {
      log("info", `the seed ${name} has psql commands; psql runs it, without a transaction around the file`);
      if (!(await runPsql(file, { environment: connectionEnvironment(address) }, log))) throw error;
    });
    await recordSeed(engine, file, name);
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
