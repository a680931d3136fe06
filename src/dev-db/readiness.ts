/**
 * The proof that a server is ready: a client of its own that logs in and gets the answer to `select 1`.
 *
 * Owns: that one client. Does not own: the listener, or what "ready" is followed by.
 * Invariant: it ends in success, in an error or by its deadline, and leaves no socket behind.
 */
import { connect, type Socket } from "node:net";
import { encodeMessage, encodeQuery, encodeStartup } from "../wire/frontend.ts";
import { MessageReader } from "../wire/message-reader.ts";
import { readErrorFields } from "../wire/query-results.ts";

/** How long `select 1` may take before the start is called failed. */
const readyTimeoutMs = 30_000;

/** Where to connect to. */
interface ReadinessTarget {
  host: string;
  port: number;
  user: string;
  database: string;
}

/**
 * Resolves when the server has answered `select 1`, or has refused only because all its connections are in use
 * (53300). Rejects with the server's own error, a socket error, the deadline, or the reason of `signal`.
 */
export function awaitReady({ host, port, user, database }: ReadinessTarget, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (error?: unknown) => {
      clearTimeout(deadline);
      signal.removeEventListener("abort", onAbort);
      socket?.destroy();
      if (error === undefined) resolve();
      else reject(error);
    };
    const onAbort = () => finish(signal.reason);
    const deadline = setTimeout(
      () => finish(new Error(`the server did not answer "select 1" within ${readyTimeoutMs / 1000} s`)),
      readyTimeoutMs,
    );
    signal.addEventListener("abort", onAbort, { once: true });
    let socket: Socket | undefined;
    if (signal.aborted) return onAbort();
    socket = connect({ host, port, noDelay: true });
    socket.on("connect", () =>
      socket?.write(encodeStartup({ user, database, application_name: "pglite-devdb readiness" })),
    );
    socket.on("error", finish);
    socket.on("close", () => finish(new Error("the server closed the connection before it answered")));
    const messages = new MessageReader();
    let rows = 0;
    let asked = false;
    socket.on("data", (chunk: Buffer) => {
      for (const { type, body } of messages.push(chunk)) {
        if (type === "E") return finish(readRefusal(body));
        if (type === "D") rows++;
        if (type === "Z" && asked) return finish(rows === 1 ? undefined : new Error('"select 1" returned no row'));
        if (type === "Z") {
          asked = true;
          socket?.write(Buffer.concat([encodeQuery("select 1"), encodeMessage("X")]));
        }
      }
    });
  });
}

/** A full server does answer, so 53300 is no failure. */
function readRefusal(body: Buffer): Error | undefined {
  const fields = readErrorFields(body);
  const code = fields.get("C");
  return code === "53300" ? undefined : new Error(`the server refused "select 1": ${fields.get("M")} (${code})`);
}
