/**
 * What is slow to make and kept in the user's cache, made by one process at a time: whoever starts beside it waits, and takes what that one has made.
 *
 * Owns: the claim of who makes it, a file beside what is made. Does not own: making, reading and writing it.
 * Invariant: only time depends on claims. Where none can be made, or whoever made one is gone or has not been heard of, it is made once more.
 */
import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { judgeLiveness, ownIdentity, type ProcessIdentity } from "./process-identity.ts";

/** How often whoever waits looks, and how often the maker says that it is still at work. */
const lookMs = 50;
const beatMs = 1_000;
/** Nothing was heard for so long of a maker that may be alive: its thread computes, or it has been stopped. */
const silenceMs = 20_000;

/** What `open` finds at `path`; else what `make` makes, which puts it there. Rejects as `make` does, and when `abandoned` is aborted while another one makes it. */
export async function madeOnce<T>(
  path: string,
  open: () => T | undefined,
  make: () => Promise<T>,
  abandoned?: AbortSignal,
): Promise<T> {
  const claim = `${path}.making`;
  let self: ProcessIdentity | undefined;
  for (;;) {
    abandoned?.throwIfAborted();
    const there = open();
    if (there !== undefined) return there;
    self ??= await ownIdentity();
    const release = take(claim, self);
    if (release) {
      try {
        // The one before may have come to its end meanwhile.
        return open() ?? (await make());
      } finally {
        release();
      }
    }
    if (await isHeld(claim, self)) await delay(lookMs);
    // One that cannot be taken away is nobody's to wait for.
    else if (!remove(claim)) return make();
  }
}

/** How to give it back; undefined while another one has it. */
function take(claim: string, self: ProcessIdentity): (() => void) | undefined {
  let file: number;
  try {
    mkdirSync(dirname(claim), { recursive: true, mode: 0o700 });
  } catch {
    return () => {};
  }
  try {
    file = openSync(claim, "wx", 0o600);
  } catch (error) {
    // A cache that cannot be written to has no claims.
    return (error as NodeJS.ErrnoException).code === "EEXIST" ? undefined : () => {};
  }
  try {
    writeFileSync(file, JSON.stringify(self));
  } catch {
    // A full disk: nobody can tell whose it is, until it is silent.
  }
  const { ino } = fstatSync(file);
  closeSync(file);
  const isOurs = (): boolean => statSync(claim, { throwIfNoEntry: false })?.ino === ino;
  const beat = setInterval(() => {
    try {
      if (isOurs()) utimesSync(claim, new Date(), new Date());
    } catch {
      // Somebody has just taken it away: whoever waits makes it once more.
    }
  }, beatMs).unref();
  return () => {
    clearInterval(beat);
    try {
      if (isOurs()) remove(claim);
    } catch {
      // It is silent from now on.
    }
  };
}

/** False if it cannot be. */
function remove(claim: string): boolean {
  try {
    rmSync(claim, { force: true });
    return true;
  } catch {
    return false;
  }
}

/** Whether whoever has it may still be making. */
async function isHeld(claim: string, self: ProcessIdentity): Promise<boolean> {
  const found = statSync(claim, { throwIfNoEntry: false });
  if (!found) return false;
  if (Date.now() - found.mtimeMs > silenceMs) return false;
  try {
    return (await judgeLiveness(JSON.parse(readFileSync(claim, "utf8")) as ProcessIdentity, self)) !== "dead";
  } catch {
    // It is just being written, or has just gone.
    return true;
  }
}
