/**
 * A PGlite in memory without the `Engine` interface around it.
 *
 * Owns: booting it. Does not own: anything else; the product itself never uses it.
 * It is what the stock socket library has to be given when its behaviour is shown beside ours.
 */
import type { PGlite } from "@electric-sql/pglite";

/** Boots a PGlite in memory and resolves when it answers. */
export async function openBarePglite(): Promise<PGlite> {
  // Half a megabyte of JavaScript, which all other commands do without.
  const { PGlite } = await import("@electric-sql/pglite");
  return PGlite.create();
}
