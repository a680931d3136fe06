/**
 * Sessions for the tests of this folder.
 *
 * Owns: that every switch is checked: a page of memory that has changed without a mark is an error of the test.
 */
import { SessionHost } from "../../../../src/engine/thread/sessions/host.ts";

/** As `SessionHost.open`. */
export async function openHost(options: Parameters<typeof SessionHost.open>[0]): Promise<SessionHost> {
  const host = await SessionHost.open(options);
  host.scheduler.checksImages = true;
  return host;
}
