/**
 * The proof that a server is ready: a client of its own that logs in and gets the answer to `select 1`.
 *
 * Owns: that one client's socket, with TLS where the server has it. Does not own: what it says (`readiness-dialog.ts`),
 * the listener, or what "ready" is followed by.
 * Invariant: it ends in success, in an error or by its deadline, and leaves no socket behind.
 */
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { encodeSslRequest } from "../wire/frontend.ts";
import { MessageReader } from "../wire/message-reader.ts";
import { preparePassword } from "../wire/scram.ts";
import { ReadinessDialog } from "./readiness-dialog.ts";

/** How long `select 1` may take before the start is called failed. */
const readyTimeoutMs = 30_000;

/** Where to connect to, and what to say there. */
interface ReadinessTarget {
  host: string;
  port: number;
  user: string;
  database: string;
  password?: string;
  /** Whether to insist on TLS. */
  offersTls?: boolean;
}

/**
 * Resolves when the server has answered `select 1`, or has refused only because all its connections are in use
 * (53300). Rejects with the server's own error, a socket error, the deadline, or the reason of `signal`.
 */
export async function awaitReady(target: ReadinessTarget, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { host, port, user, database, password = "", offersTls = false } = target;
  const dialog = new ReadinessDialog({ user, database, password: await preparePassword(password) });
  signal.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const finish = (error?: unknown) => {
      clearTimeout(deadline);
      signal.removeEventListener("abort", onAbort);
      socket.destroy();
      if (error === undefined) resolve();
      else reject(error);
    };
    const onAbort = () => finish(signal.reason);
    const deadline = setTimeout(
      () => finish(new Error(`the server did not answer "select 1" within ${readyTimeoutMs / 1000} s`)),
      readyTimeoutMs,
    );
    signal.addEventListener("abort", onAbort, { once: true });
    const socket = connect({ host, port, noDelay: true });
    socket.on("error", finish);
    socket.on("close", () => finish(new Error("the server closed the connection before it answered")));
    const hold = (stream: Socket) => converse(stream, dialog, finish);
    socket.on("connect", () => (offersTls ? encrypt(socket, hold, finish) : hold(socket)));
  });
}

/** Asks for TLS. That it is the right server is known: the certificate is not looked at. */
function encrypt(socket: Socket, use: (stream: Socket) => void, finish: (error: unknown) => void): void {
  socket.once("data", (answer: Buffer) => {
    if (answer.toString("latin1") !== "S") return finish(new Error("the server refused TLS"));
    const encrypted = connectTls({ socket, rejectUnauthorized: false }, () => use(encrypted));
    encrypted.on("error", finish);
  });
  socket.write(encodeSslRequest());
}

function converse(stream: Socket, dialog: ReadinessDialog, finish: (error?: unknown) => void): void {
  const messages = new MessageReader();
  stream.on("data", (chunk: Buffer) => {
    try {
      for (const message of messages.push(chunk)) {
        const next = dialog.receive(message);
        if (next === "ready") return finish();
        if (next) stream.write(next);
      }
    } catch (error) {
      finish(error);
    }
  });
  stream.write(dialog.start());
}
