/**
 * The proof that a server is ready: a client of its own that logs in and gets the answer to `select 1`.
 *
 * Owns: that one client. Does not own: the listener, or what "ready" is followed by.
 * Invariant: it ends in success, in an error or by its deadline, and leaves no socket behind.
 */
import { connect, type Socket } from "node:net";
import { encodeQuery } from "../wire/frontend.ts";

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
export function awaitReady(target: ReadinessTarget, signal: AbortSignal): Promise<void> {
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
    socket = connect({ host: target.host, port: target.port, noDelay: true });
    socket.on("connect", () => socket?.write(encodeStartup({ user: target.user, database: target.database })));
    socket.on("error", finish);
    socket.on("close", () => finish(new Error("the server closed the connection before it answered")));
    let pending: Buffer = Buffer.alloc(0);
    let rows = 0;
    let asked = false;
    socket.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 5 && pending.length > pending.readUInt32BE(1)) {
        const length = pending.readUInt32BE(1) + 1;
        const type = String.fromCharCode(pending[0]!);
        const body = pending.subarray(5, length);
        pending = pending.subarray(length);
        if (type === "E") return finish(readRefusal(body));
        if (type === "D") rows++;
        if (type === "Z" && asked) return finish(rows === 1 ? undefined : new Error('"select 1" returned no row'));
        if (type === "Z") {
          asked = true;
          socket?.write(Buffer.concat([encodeQuery("select 1"), terminate]));
        }
      }
    });
  });
}

const terminate = Buffer.from([0x58, 0, 0, 0, 4]);

function encodeStartup(parameters: Record<string, string>): Buffer {
  const body = Object.entries({ ...parameters, application_name: "pglite-devdb readiness" })
    .map(([key, value]) => `${key}\0${value}\0`)
    .join("");
  const packet = Buffer.alloc(8 + Buffer.byteLength(body) + 1);
  packet.writeInt32BE(packet.length, 0);
  packet.writeInt32BE(3 << 16, 4);
  packet.write(body, 8);
  return packet;
}

/** A full server does answer, so 53300 is no failure. */
function readRefusal(body: Buffer): Error | undefined {
  const fields = body.toString("utf8").split("\0");
  const field = (letter: string) => fields.find((text) => text.startsWith(letter))?.slice(1) ?? "";
  return field("C") === "53300" ? undefined : new Error(`the server refused "select 1": ${field("M")} (${field("C")})`);
}
