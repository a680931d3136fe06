/**
 * What large input, or a large answer in one go, leaves behind in the thread that it goes through.
 *
 * Owns: when it is collected. Does not own: the bytes, or any other garbage.
 * Invariant: it costs nothing while little goes through.
 *
 * Engine: Node gives every read of a socket a buffer of its own, and V8 begins to look for dead ones when they are more than
 * 64 MB, in each thread. A small collection, of what is young, finds most of them and takes about a millisecond.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const bytesBetweenCollections = 8 << 20;

type Collect = (options: { type: "minor" }) => void;

/** Counts what goes through one thread. */
export class YoungGarbage {
  #bytes = 0;
  #collect: Collect | undefined;

  /** To be told of bytes when they have gone through. */
  passed(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < bytesBetweenCollections) return;
    this.#bytes = 0;
    this.#collect ??= collector();
    this.#collect?.({ type: "minor" });
  }
}

/**
 * V8's collector, which only contexts get that are made while the flag is set. The flag is the process's: if another thread
 * takes it back at the same moment there is none, and the next call tries again.
 */
function collector(): Collect | undefined {
  if (globalThis.gc) return globalThis.gc as Collect;
  setFlagsFromString("--expose-gc");
  try {
    return runInNewContext("typeof gc === 'function' ? gc : undefined") as Collect | undefined;
  } finally {
    setFlagsFromString("--no-expose-gc");
  }
}
