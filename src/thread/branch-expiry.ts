/**
 * `--branch-ttl`: branches that nobody uses any more.
 *
 * Owns: since when nobody has been connected to a branch. Does not own: dropping it (`database-branches.ts`).
 */
import type { DatabaseBranches } from "./database-branches.ts";

/** How often in that time is looked. */
const looks = 4;
const shortestMs = 250;

/** Looks again and again, until the timer is cleared. A server that begins counts from there. */
export function expireBranches(branches: DatabaseBranches, ttlMs: number): NodeJS.Timeout {
  let unusedSince = new Map<string, number>();
  let isLooking = false;
  const look = async (): Promise<void> => {
    const now = performance.now();
    const unused = await branches.unused();
    unusedSince = new Map(unused.map((database) => [database, unusedSince.get(database) ?? now]));
    for (const [database, since] of unusedSince) if (now - since >= ttlMs) await branches.dropUnused(database);
  };
  return setInterval(
    () => {
      if (isLooking) return;
      isLooking = true;
      // Somebody has connected meanwhile, or the server ends.
      void look()
        .catch(() => undefined)
        .finally(() => {
          isLooking = false;
        });
    },
    Math.max(shortestMs, ttlMs / looks),
  );
}
