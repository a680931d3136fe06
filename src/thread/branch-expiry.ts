/**
 * `--branch-ttl`: branches that nobody uses any more.
 *
 * Owns: since when nobody has been connected to a branch. Does not own: dropping it (`database-branches.ts`).
 * Invariant: who connects has used a branch, also if he has gone before anybody looks.
 */
import type { DatabaseBranches } from "./database-branches.ts";

/** How often in that time is looked. */
const looks = 4;
const shortestMs = 250;

/** Looks again and again, until it is closed. A server that begins counts from there. */
export class BranchExpiry {
  readonly #branches: Pick<DatabaseBranches, "unused" | "dropUnused">;
  readonly #ttlMs: number;
  readonly #timer: NodeJS.Timeout;
  #unusedSince = new Map<string, number>();
  #isLooking = false;

  constructor(branches: Pick<DatabaseBranches, "unused" | "dropUnused">, ttlMs: number) {
    this.#branches = branches;
    this.#ttlMs = ttlMs;
    this.#timer = setInterval(() => void this.#lookOnce(), Math.max(shortestMs, ttlMs / looks));
  }

  /** Somebody is connecting to a database. */
  used(database: string): void {
    this.#unusedSince.delete(database);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #lookOnce(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    // Somebody has connected meanwhile, or the server ends.
    await this.#look().catch(() => undefined);
    this.#isLooking = false;
  }

  async #look(): Promise<void> {
    const unused = new Set(await this.#branches.unused());
    const now = performance.now();
    for (const database of this.#unusedSince.keys()) if (!unused.has(database)) this.used(database);
    for (const database of unused) if (!this.#unusedSince.has(database)) this.#unusedSince.set(database, now);
    for (const database of unused) {
      // Who has connected while another one was dropped is not there any more.
      const since = this.#unusedSince.get(database);
      if (since !== undefined && now - since >= this.#ttlMs) await this.#branches.dropUnused(database);
    }
  }
}
