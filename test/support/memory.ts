/**
 * How much memory is in use, without what is only waiting to be collected.
 *
 * Owns: the measurement, and waiting until memory has been given back. Does not own: what is much.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { waitUntil } from "./wait-until.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Bytes on the heap and in buffers, after a collection of garbage. */
export function memoryInUse(): number {
  collectGarbage();
  // Buffers are counted off by a thread beside, later: a second collection begins with the end of the first one's work.
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/**
 * Resolves once less than `bytes` more are in use than `before`; rejects if that never happens. What the event loop has still
 * to let go of, such as writes to a socket that is being closed, is in use until then; what is kept stays for ever.
 */
export async function memoryBelow(before: number, bytes: number): Promise<void> {
  let more = 0;
  const isBelow = (): boolean => {
    more = memoryInUse() - before;
    return more < bytes;
  };
  await waitUntil(`less than ${bytes} bytes more are in use`, isBelow).catch((error: Error) => {
    throw new Error(`${error.message}: they are ${more}`);
  });
}
