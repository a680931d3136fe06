/**
 * Doing what a part of a play says, on one connection.
 *
 * Owns: the order of sending, cancelling, waiting, leaving. Does not own: the socket (`talker.ts`), the other clients of the play.
 * Invariant: it ends when all that is owed has come and was right, or its client has left; else it rejects.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import type { Part } from "./play.ts";
import { type Exchange, type Expected, exchangeOf, flush, isExtended, probe, sync } from "./requests.ts";
import type { Talker } from "./talker.ts";

/** What is sent at once. */
interface Burst {
  readonly bytes: Buffer;
  readonly expected: readonly Expected[];
  readonly sleeps: boolean;
}

/** Larger plays are followed by a statement that tells whether the connection goes on. */
const probedBytes = 100_000;
/** A cancel that comes before its statement is for nobody. */
const cancelAgainMs = 15;

let lastLetter = 0;

/** Does it; resolves with whether the connection is still there. */
export async function performPart(part: Part, talker: Talker): Promise<boolean> {
  await talker.loggedIn();
  talker.read(part.reading);
  const bursts = burstsOf(part);
  const leaves = part.leaving !== "stay" && part.leaving !== "terminate";
  const total = bursts.reduce((sum, { bytes }) => sum + bytes.length, 0);
  let left = leaves ? Math.floor((total * part.leavesAt) / 65_536) : total;
  let cancel: Promise<void> | undefined;
  for (const burst of bursts) {
    talker.owe(burst.expected);
    await send(talker, burst.bytes.subarray(0, left), part);
    left -= burst.bytes.length;
    if (part.cancelAfterMs !== undefined) cancel ??= sleep(part.cancelAfterMs).then(() => talker.cancel());
    if (leaves && left <= 0) break;
    await Promise.all([talker.answered(), ...(burst.sleeps ? [cancelUntilItEnds(talker)] : [])]);
  }
  await cancel;
  if (part.leaving !== "stay") talker.leave(part.leaving);
  if (part.leaving === "terminate" || part.leaving === "half-close") await talker.closed();
  talker.endPart();
  return part.leaving === "stay";
}

async function cancelUntilItEnds(talker: Talker): Promise<void> {
  while (talker.checker.cancelled === 0 && !talker.checker.isDone && !talker.isClosed) {
    await talker.cancel();
    await sleep(cancelAgainMs);
  }
}

async function send(talker: Talker, bytes: Buffer, { cuts, gapMs }: Part): Promise<void> {
  if (cuts.length === 0) return talker.write(bytes);
  const places = cuts.map((cut) =>
    cut < 64 ? Math.min(cut, bytes.length) : Math.floor((bytes.length * cut) / 65_536),
  );
  let from = 0;
  for (const place of [...places.sort((a, b) => a - b), bytes.length]) {
    talker.write(bytes.subarray(from, place));
    from = place;
    await (gapMs === 0 ? nextTurn() : sleep(gapMs));
  }
}

function burstsOf({ requests }: Part): Burst[] {
  const bursts: Burst[] = [];
  let exchanges: Exchange[] = [];
  let sleeps = false;
  const end = (): void => {
    const bytes = Buffer.concat(exchanges.flatMap((exchange) => exchange.bytes));
    bursts.push({ bytes, expected: exchanges.flatMap(({ expected }) => expected), sleeps });
    exchanges = [];
    sleeps = false;
  };
  let isOpen = false;
  for (const request of requests) {
    const extended = isExtended(request);
    if (!extended && isOpen) exchanges.push(sync);
    lastLetter = (lastLetter + 1) % 26;
    exchanges.push(exchangeOf(request, 0x61 + lastLetter));
    sleeps ||= request.ask === "sleep";
    isOpen = extended && request.end !== "sync";
    if (extended && !isOpen) exchanges.push(sync);
    if (!request.isAwaited) continue;
    if (isOpen && request.end === "nothing") exchanges.push(flush);
    end();
  }
  if (isOpen) exchanges.push(sync);
  if (exchanges.length > 0) end();
  if (requests.some(({ bytes }) => bytes > probedBytes)) {
    exchanges.push(probe);
    end();
  }
  return bursts;
}
