/**
 * Telling a person why a start takes long.
 *
 * Owns: when that is said, and the sentence. Does not own: the start (`engine-worker.ts`); that it ends is up to what it does.
 * Invariant: nothing is said once the start is over, and a start that is as fast as usual says nothing.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isCacheEmpty } from "../system/user-cache.ts";

/** What a start is known by. */
interface SlowStartOptions {
  /** A directory, or `memory://`. */
  readonly dataDir: string;
  /** After how long it is told of, in ms. */
  readonly slowStartMs?: number;
  readonly log?: (level: "info", line: string) => void;
}

const defaultSlowStartMs = 5000;
/** As PostgreSQL's `log_startup_progress_interval`. */
const intervalMs = 10_000;

/** `DB_SHUTDOWNED` and `DB_SHUTDOWNED_IN_RECOVERY` (catalog/pg_control.h), and where pg_control has the state. */
const shutDownStates: readonly number[] = [1, 2];
const stateAt = 16;

/** Says what the start that begins now does when it has taken long, and then every ten seconds; call the result at its end. */
export function tellOfSlowStart({ dataDir, slowStartMs = defaultSlowStartMs, log }: SlowStartOptions): () => void {
  const began = performance.now();
  // Later PostgreSQL changes what this is read from.
  const doing = describeStart(dataDir);
  let timer: NodeJS.Timeout;
  const tell = () => {
    const seconds = Math.round((performance.now() - began) / 1000);
    log?.("info", `still starting after ${seconds} s: ${doing}`);
    timer = setTimeout(tell, intervalMs);
  };
  timer = setTimeout(tell, slowStartMs);
  return () => clearTimeout(timer);
}

/** What a start that begins now will be at. Read before PostgreSQL changes anything. */
export function describeStart(dataDir: string): string {
  const first = isCacheEmpty() ? " (initdb runs, as the cache has nothing yet)" : "";
  if (dataDir === "memory://") return `PostgreSQL starts on a new database in memory${first}`;
  if (!existsSync(join(dataDir, "PG_VERSION"))) return `a new database is made in ${dataDir}${first}`;
  if (wasShutDown(dataDir)) return `PostgreSQL starts on ${dataDir}`;
  return `PostgreSQL recovers ${dataDir} from its write-ahead log, because it was not shut down the last time`;
}

/** Whether there is nothing to recover; true also where that cannot be known: PostgreSQL will say what is wrong there. */
function wasShutDown(dataDir: string): boolean {
  try {
    return shutDownStates.includes(readFileSync(join(dataDir, "global/pg_control")).readUInt32LE(stateAt));
  } catch {
    return true;
  }
}
