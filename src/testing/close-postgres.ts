/**
 * The end of a client of a database, awaited and bounded.
 *
 * Owns: ending one client and saying how it went. Does not own: what the client does with queries in flight, or where
 * it has its sockets (`client-sockets.ts`).
 * Invariant: a client is told to end once, however many callers close it; a failing teardown never rejects, neither
 * here nor later as an unhandled rejection; the ceiling is a race, and its timer never keeps the process alive.
 */
import { UsageError } from "../errors.ts";
import { watchSockets } from "./client-sockets.ts";

/** A client of postgres.js, a Pool or Client of pg, or anything else that ends by a promise. */
export interface EndableClient {
  end(options?: { timeout?: number }): PromiseLike<unknown>;
}

/** What stands before such a client: a database of drizzle. */
interface ClientHolder {
  readonly $client: EndableClient;
}

/** How a close went: ended gracefully, still ending at the ceiling, or refused to end. */
export type CloseOutcome = "closed" | "timed out" | { readonly failed: unknown };

const defaultTimeoutMs = 5_000;
const maxTimeoutMs = 3_600_000;

/** One end per client: pg rejects a second one, and the second caller wants the outcome of the first. */
const endings = new WeakMap<EndableClient, Promise<CloseOutcome>>();

/**
 * Ends a client gracefully, or the one of a database of drizzle, and resolves when it has ended and its sockets are
 * closed, at the latest after `timeoutMs` (5000 by default). Those of pg and of postgres.js are waited for: their own
 * `end()` may resolve before.
 * Never rejects because of the client: the result says how it went. Closing a client again awaits the same end.
 * At the ceiling a postgres.js client drops its sockets; any other client is left to finish by itself.
 * Rejects with a `UsageError` for a `timeoutMs` that is no whole number from 1 to 3600000; nothing is ended then.
 */
export async function closePostgres(
  client: EndableClient | ClientHolder,
  options: { readonly timeoutMs?: number } = {},
): Promise<CloseOutcome> {
  if ("$client" in client) return closePostgres(client.$client, options);
  const timeoutMs = checkTimeout(options.timeoutMs ?? defaultTimeoutMs);
  let timer: NodeJS.Timeout | undefined;
  const ceiling = new Promise<CloseOutcome>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, "timed out").unref();
  });
  let ending = endings.get(client);
  if (!ending) {
    ending = endClient(client, timeoutMs);
    endings.set(client, ending);
  }
  try {
    return await Promise.race([ending, ceiling]);
  } finally {
    clearTimeout(timer);
  }
}

async function endClient(client: EndableClient, timeoutMs: number): Promise<CloseOutcome> {
  try {
    const closed = watchSockets(client);
    await (isPostgresJs(client) ? client.end({ timeout: (timeoutMs + 1) / 1000 }) : client.end());
    await closed();
    return "closed";
  } catch (error) {
    return { failed: error };
  }
}

/**
 * A postgres.js client is a tagged template, so a function. Only it may be given a timeout, in seconds: pg takes a
 * callback in the same place. Its timeout is a millisecond behind ours, because it resolves as if all had gone well.
 */
function isPostgresJs(client: EndableClient): boolean {
  return typeof client === "function";
}

function checkTimeout(timeoutMs: number): number {
  if (Number.isInteger(timeoutMs) && timeoutMs >= 1 && timeoutMs <= maxTimeoutMs) return timeoutMs;
  throw new UsageError(
    `closePostgres: timeoutMs is ${String(timeoutMs)}; it takes a whole number of milliseconds from 1 to ${maxTimeoutMs}`,
  );
}
