/**
 * A PGlite in memory without the `Engine` interface around it.
 *
 * Owns: booting it. Does not own: anything else; the product itself never uses it.
 * It is what the stock socket library has to be given when its behaviour is shown beside ours.
 */
import type { PGlite } from "@electric-sql/pglite";
import { newCluster } from "../cluster/new-cluster.ts";

/** Boots a PGlite in memory, on a cluster that initdb has made before, and resolves when it answers. */
export async function openBarePglite(): Promise<PGlite> {
  // Half a megabyte of JavaScript, which all other commands do without.
  const [{ PGlite }, { MemoryFiles }] = await Promise.all([
    import("@electric-sql/pglite"),
    import("../cluster/memory-files.ts"),
  ]);
  return PGlite.create({ fs: new MemoryFiles(await newCluster()) });
}
