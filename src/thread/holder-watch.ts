/**
 * Looking for sessions that idle in a transaction for too long while others wait for their locks.
 *
 * Owns: when it is looked for: after turns, and when the next such time is over. Does not own: finding them
 * (`sessions/idle-holders.ts`). Invariant: it costs nothing where there is no limit.
 */
import type { IsolatedOptions } from "../engine/thread/protocol.ts";
import type { SessionHost } from "../sessions/host.ts";
import { IdleHolders } from "../sessions/idle-holders.ts";
import { delayUntil } from "../sessions/timer-delay.ts";
import type { Holding } from "../transport/holding.ts";

/** `onHeld` is told of each; the result, if there is a limit, is to be called when a turn begins or ends. */
export function watchHolders(
  host: SessionHost,
  { transactionIdleTimeoutMs }: Pick<IsolatedOptions, "transactionIdleTimeoutMs">,
  onHeld: (holding: Holding) => void,
): (() => void) | undefined {
  if (transactionIdleTimeoutMs === 0) return undefined;
  const holders = new IdleHolders(host, transactionIdleTimeoutMs, (holder, waiter, waitedMs, idleMs) =>
    onHeld({ holder: holder.pid, waiter: waiter.pid, waitedMs, idleMs }),
  );
  let timer: NodeJS.Timeout | undefined;
  let isDue = false;
  const look = (): void => {
    isDue = false;
    holders.look();
    clearTimeout(timer);
    timer = Number.isFinite(holders.next) ? setTimeout(look, delayUntil(holders.next)) : undefined;
  };
  return () => {
    if (isDue) return;
    isDue = true;
    setImmediate(look);
  };
}
