/**
 * Sessions for the tests of this folder.
 *
 * Owns: that every switch is checked: memory that has changed without a mark, or is not as its session left it, is an error
 * of the test.
 */
import { SessionHost } from "../../../../src/engine/thread/sessions/host.ts";

/** As `SessionHost.open`. */
export async function openHost(options: Parameters<typeof SessionHost.open>[0]): Promise<SessionHost> {
  const host = await SessionHost.open(options);
  host.scheduler.checkImages();
  return host;
}
