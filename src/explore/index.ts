/**
 * `pglite-devdb/explore`: an application's transactions under every interleaving of their statements.
 *
 * Owns: which names are public; re-exports only.
 */
export { explore } from "./explore.ts";
export type { Actor, ExploreOptions, ExploreReport, Results, Schedule, ScheduleStep } from "./report.ts";
export type { Sql } from "./sql.ts";
