/**
 * Finds ReadyForQuery at the end of a backend's output.
 *
 * Owns: the six bytes of the message (PostgreSQL manual, "Message Formats"). Does not own: the writes (`sessions/waiting.ts`).
 * Invariant: writes may cut any message in two, so the end of the output is kept from write to write.
 */

/** ReadyForQuery without its last byte, the transaction status. */
const start = [0x5a, 0, 0, 0, 5];
const length = start.length + 1;

/** Returns the last bytes of all output, as many as ReadyForQuery has; `before` are the last bytes before `bytes`. */
export function endOfOutput(before: Uint8Array, bytes: Uint8Array): Uint8Array {
  if (bytes.length >= length) return bytes.slice(bytes.length - length);
  return Buffer.concat([before, bytes]).subarray(-length);
}

/** Whether these last bytes are a ReadyForQuery. */
export function isReady(end: Uint8Array): boolean {
  return end.length === length && start.every((byte, at) => end[at] === byte);
}

/** Returns where a complete or partial ReadyForQuery at the end of these bytes begins; their length if there is none. */
export function startOfReady(bytes: Uint8Array): number {
  for (let at = Math.max(0, bytes.length - length); at < bytes.length; at++) {
    const end = bytes.subarray(at, at + start.length);
    if (end.every((byte, place) => byte === start[place])) return at;
  }
  return bytes.length;
}
