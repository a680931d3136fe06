/**
 * Migrations and seeds on start: the public face of this directory.
 *
 * Owns: what the composition root may call; re-exports only. Does not own: when a start migrates or seeds.
 * Reading order: `migrate.ts` (the steps), `run-migration.ts` (the transaction), then one of `drizzle.ts`, `prisma.ts`
 * and `plain.ts` (what is pending).
 */

export { NeedsPsqlError } from "./check-migration.ts";
export {
  type CodeSeed,
  functionSeed,
  isNewCodeSeed,
  moduleSeed,
  recordCodeSeed,
  runCodeSeed,
} from "./code-seed.ts";
export { findMigrations } from "./find-migrations.ts";
export { applyMigrations } from "./migrate.ts";
export type { MigrationSource, SqlEngine } from "./migration.ts";
export { claimForSeeds } from "./own-ledger.ts";
export { compareNaturally } from "./plain.ts";
export { restoreSql } from "./restore.ts";
export { applySeed, isSeed, recordSeed, seedKind } from "./seed.ts";
export { splitStatements } from "./split-statements.ts";
export { quoteIdentifier, quoteLiteral } from "./sql-quoting.ts";
