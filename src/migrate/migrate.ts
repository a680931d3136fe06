/**
 * Applying migrations, of whatever kind.
 *
 * Owns: the order of the steps (plan, check, run). Does not own: any tool's rules (`drizzle.ts`, `prisma.ts`,
 * `plain.ts`), where migrations are found (`find-migrations.ts`), the seed (`seed.ts`), or when a start migrates.
 * Invariant: nobody else uses the engine meanwhile; every pending file is checked before the first one runs.
 */
import type { Log, Progress } from "../options.ts";
import { type CheckedMigration, checkMigration } from "./check-migration.ts";
import { describePlace } from "./describe-place.ts";
import { planDrizzle } from "./drizzle.ts";
import { planDrizzleFolders } from "./drizzle-folders.ts";
import type { MigrationPlan, MigrationSource, SqlEngine } from "./migration.ts";
import { planPlain } from "./plain.ts";
import { planPrisma } from "./prisma.ts";
import { runTogether } from "./run-migration.ts";

/** What a call of `applyMigrations` did. */
interface MigrationResult {
  /** The names of the migrations that this call applied, in order. */
  readonly applied: readonly string[];
  /** How many migrations of the folder needed nothing. */
  readonly alreadyApplied: number;
}

/**
 * Applies what is pending, each migration in a transaction of its own, and records it in the ledger of its tool.
 * Throws a `MigrationError` that names file, line, statement and SQLSTATE; what was applied before it stays. Call it
 * before anybody else can reach the engine. `log` gets what a person should know beside the result, `progress` what is being applied.
 */
export async function applyMigrations(
  engine: SqlEngine,
  sources: readonly MigrationSource[],
  log: Log = () => undefined,
  progress: Progress = () => undefined,
): Promise<MigrationResult> {
  const { pending, alreadyApplied } = await planAll(engine, sources, log);
  const checked: CheckedMigration[][] = [];
  for (const migrations of pending)
    checked.push(await Promise.all(migrations.map((migration) => checkMigration(migration))));
  const all = checked.flat();
  const applied: string[] = [];
  for (const migrations of checked) {
    await runTogether(engine, migrations, log, (migration, chunk) =>
      progress(`migration ${all.indexOf(migration) + 1} of ${all.length}: ${describePlace(migration, chunk)}`),
    );
    applied.push(...migrations.map(({ name }) => name));
  }
  return { applied, alreadyApplied };
}

/** One folder after the other; those of plain SQL, which have one ledger, where the first of them is. */
async function planAll(engine: SqlEngine, sources: readonly MigrationSource[], log: Log): Promise<MigrationPlan> {
  const plain = sources.filter(({ kind }) => kind === "plain");
  const plans: MigrationPlan[] = [];
  for (const source of sources) {
    if (source.kind !== "plain") plans.push(await plan(engine, source, log));
    else if (source === plain[0])
      plans.push(
        await planPlain(
          engine,
          plain.map(({ directory }) => directory),
          log,
        ),
      );
  }
  return {
    pending: plans.flatMap(({ pending }) => pending),
    alreadyApplied: plans.reduce((sum, { alreadyApplied }) => sum + alreadyApplied, 0),
  };
}

function plan(
  engine: SqlEngine,
  source: Exclude<MigrationSource, { readonly kind: "plain" }>,
  log: Log,
): Promise<MigrationPlan> {
  switch (source.kind) {
    case "drizzle":
      return planDrizzle(engine, source, log);
    case "drizzle-folders":
      return planDrizzleFolders(engine, source, log);
    case "prisma":
      return planPrisma(engine, source, log);
  }
}
