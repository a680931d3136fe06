/**
 * The proof that a server that listens is ready: a client of its own logs in and gets the answer to `select 1`.
 *
 * Owns: how long that may take, and what is as good as an answer. Does not own: the connection (`server-client.ts`), the listener, or
 * what "ready" is followed by.
 * Invariant: it ends in success, in an error or by its deadline.
 */
import { UsageError } from "../errors.ts";
import { encodeMessage, encodeQuery } from "../wire/frontend.ts";
import { DatabaseError, readQueryResults } from "../wire/query-results.ts";
import { type ClientAddress, connectionUrl } from "./address.ts";
import { ServerClient } from "./server-client.ts";

/** How long `select 1` may take before the start is called failed. */
const readyTimeoutMs = 30_000;

/** An event trigger ON LOGIN that lets nobody in must not keep the server from starting, or nobody could drop it. */
const parameters = { application_name: "pglite-devdb readiness", event_triggers: "off" };

/**
 * Resolves when the server has answered `select 1`, or has refused only because all its connections are in use
 * (53300). Rejects with the server's own error, a socket error, the deadline, or the reason of `signal`.
 */
export async function awaitReady(address: ClientAddress, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const deadline = new AbortController();
  const late = new Error(`the server did not answer "select 1" within ${readyTimeoutMs / 1000} s`);
  const timer = setTimeout(() => deadline.abort(late), readyTimeoutMs);
  const ends = AbortSignal.any([signal, deadline.signal]);
  try {
    await ask(address, ends);
  } catch (error) {
    ends.throwIfAborted();
    // That it is full is an answer, too.
    if (error instanceof DatabaseError && error.code === "53300") return;
    throw explain(error);
  } finally {
    clearTimeout(timer);
  }
}

async function ask(address: ClientAddress, signal: AbortSignal): Promise<void> {
  const url = connectionUrl({ ...address, parameters: `sslmode=${address.offersTls ? "require" : "disable"}` });
  const client = await ServerClient.connect(url, { parameters, signal, connectTimeoutMs: 0 });
  const answer: Uint8Array[] = [];
  // With its good-bye, so that the session does not outlast the start.
  const messages = Buffer.concat([encodeQuery("select 1"), encodeMessage("X")]);
  try {
    await client.execProtocolRawStream(messages, { onRawData: (data) => void answer.push(data) });
  } catch (error) {
    // What it said before it hung up is the better reason.
    readQueryResults(Buffer.concat(answer));
    throw error;
  } finally {
    client.destroy();
  }
  const [result] = readQueryResults(Buffer.concat(answer));
  if (result?.rows.length !== 1) throw new Error('"select 1" returned no row');
}

function explain(error: unknown): unknown {
  if (error instanceof DatabaseError)
    return new Error(`the server refused "select 1": ${error.message} (${error.code})`);
  // Nobody has mistaken an address here.
  return error instanceof UsageError ? error.cause : error;
}
