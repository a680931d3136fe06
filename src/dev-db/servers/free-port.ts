/**
 * A port for a server that takes no 0.
 *
 * Owns: choosing one, and another one when somebody else was faster. Does not own: a port that was asked for (`../port.ts`).
 */
import { createServer } from "node:net";

/** Many starts at once choose among the same ports. */
const mostAttempts = 5;

/** Starts something on a port that was free a moment ago. Rejects with the last error, EADDRINUSE, if each was taken meanwhile. */
export async function startOnFreePort<T>(host: string, start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePort(host));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || attempt === mostAttempts) throw error;
    }
  }
}

/** A port that was free a moment ago. */
export async function freePort(host = "127.0.0.1"): Promise<number> {
  const probe = createServer().listen(0, host);
  await new Promise((resolve, reject) => probe.once("listening", resolve).once("error", reject));
  const address = probe.address();
  await new Promise((closed) => probe.close(closed));
  if (address === null || typeof address !== "object") throw new Error("no free port");
  return address.port;
}
