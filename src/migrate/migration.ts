/**
 * What the three kinds of migration folders have in common: a migration, and the plan of what is to be done.
 *
 * Owns: the types between the readers (`drizzle.ts`, `prisma.ts`, `plain.ts`) and the runner (`run-migration.ts`), and
 * the access to a ledger table. Does not own: any tool's rules.
 * Invariant: a migration carries the statement that records it, so that the runner can put both in one transaction.
 */
import { executeSql, type SqlEngine } from "../engine/execute-sql.ts";
import { MigrationError } from "../errors.ts";
import { DatabaseError, type StatementResult } from "../wire/query-results.ts";
import type { SqlFile } from "./sql-file.ts";

export type { SqlEngine } from "../engine/execute-sql.ts";

/** A folder of drizzle-kit's. */
export interface DrizzleSource {
  /** With a journal (drizzle-kit 0.x), or a folder for each migration (1.0). */
  readonly kind: "drizzle" | "drizzle-folders";
  /** Absolute. */
  readonly directory: string;
  /** The ledger table, as `migrations` in drizzle.config.ts sets it. */
  readonly ledger: { readonly schema: string; readonly table: string };
}

/** Where migrations are, and which tool's rules and ledger they follow. */
export type MigrationSource = DrizzleSource | PrismaSource | { readonly kind: "plain"; readonly directory: string };

/** Prisma's folder; its tables and its ledger are in this schema. */
export interface PrismaSource {
  readonly kind: "prisma";
  readonly directory: string;
  readonly schema: string;
}

/** Between the statements of drizzle-kit's files. */
export const statementBreakpoint = "--> statement-breakpoint";

/** One file of SQL that is applied as a whole and recorded in a ledger. */
export interface Migration {
  /** What the ledger and the log call it. */
  readonly name: string;
  readonly file: SqlFile;
  /** Where the tool that wrote it cuts it; undefined: between statements. */
  readonly separator?: string;
  /** A statement that its session begins with. */
  readonly prelude?: string;
  /** The ledger table, for messages. */
  readonly ledger: string;
  /** The statement that records it. */
  readonly recordSql: string;
}

/** What a folder and its ledger say is to be done. */
export interface MigrationPlan {
  /** Each inner list is one transaction; nearly always of one migration. */
  readonly pending: readonly (readonly Migration[])[];
  /** How many migrations of the folder need nothing. */
  readonly alreadyApplied: number;
}

/** Runs a statement on a ledger table. Throws a `MigrationError` that names the ledger. */
export async function executeOnLedger(engine: SqlEngine, ledger: string, sql: string): Promise<StatementResult> {
  try {
    return (await executeSql(engine, sql)).at(-1)!;
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    throw new MigrationError(`the ledger ${ledger} cannot be used: ${error.message} (SQLSTATE ${error.code})`, {
      cause: error,
    });
  }
}
