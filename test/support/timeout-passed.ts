/**
 * That a server's timeout has passed, told by clients that it ends: for tests of clients that it must not end.
 *
 * Owns: those clients. Does not own: the server, and whom it leaves alone.
 * Invariant: it is the server's clock that tells; a slow machine makes the wait longer, for both.
 */
import { WireClient } from "./wire-client.ts";

/** Resolves when the stall timeout has ended `times` clients that connect and say nothing, one after the other. */
export async function timeoutPassed(server: Parameters<typeof WireClient.connect>[0], times = 2): Promise<void> {
  for (let n = 0; n < times; n++) await (await WireClient.connect(server)).untilEnd();
}
