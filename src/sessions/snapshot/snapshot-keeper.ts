/**
 * When the snapshot that a boot has taken is written to its file.
 *
 * Owns: the moments. Does not own: the snapshot (`snapshot-cache.ts`).
 * Invariant: no client waits for it: it is written when nobody has asked for anything for a second, or when
 * all clients have gone and PostgreSQL is going to end, unless that takes so long that the end would not be in time.
 */
import { pruneWhereWritten } from "../../system/cache-pruning.ts";
import { onceIdle } from "../module/once-idle.ts";
import type { SnapshotCache } from "./snapshot-cache.ts";

/** Where taking it has taken longer, the machine is busy, and the end has some seconds in all (`limits.closeMs`). */
const quickMs = 300;

/** Keeps the snapshot of this thread's PostgreSQL. */
export class SnapshotKeeper {
  readonly #snapshot: Pick<SnapshotCache, "isDue" | "keep" | "tookMs">;

  constructor(snapshot: Pick<SnapshotCache, "isDue" | "keep" | "tookMs">) {
    this.#snapshot = snapshot;
  }

  /** Keeps it some time in the life of this thread, which it does not prolong. */
  keepWhenIdle(): void {
    if (this.#snapshot.isDue) onceIdle(() => this.#keep());
  }

  /** To be called before PostgreSQL is told to end. */
  keepAtStop(): void {
    if (this.#snapshot.tookMs <= quickMs) this.#keep();
  }

  #keep(): void {
    if (this.#snapshot.isDue && this.#snapshot.keep()) pruneWhereWritten();
  }
}
