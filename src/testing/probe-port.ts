/**
 * Whether somebody answers on an address.
 *
 * Owns: one connection attempt, from its socket to its last listener. Does not own: whether the port can be bound.
 * Invariant: when the answer is there, the socket is destroyed, the timer is cleared and the signal is let go.
 */
import { Socket } from "node:net";
import { errorCode } from "./error-code.ts";

/** A listener with a full queue drops the attempt without a word: it is there all the same. */
const probeTimeoutMs = 500;

/** Nobody listens there, or this machine has no such address. */
const nobodyThere = new Set([
  "ECONNREFUSED",
  "EADDRNOTAVAIL",
  "EAFNOSUPPORT",
  "EPROTONOSUPPORT",
  "ENETUNREACH",
  "EHOSTUNREACH",
]);

/** This process or machine has run out of something: says nothing about the port. */
const exhausted = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);

/**
 * Connects to an address of this machine and resolves with whether somebody is there; silence for half a second
 * counts as somebody. Rejects with the reason of an aborted `signal`, at once, and when this process has run out of
 * sockets. `host` is a numeric address.
 */
export function answersOn(host: string, port: number, signal?: AbortSignal): Promise<boolean> {
  const socket = new Socket();
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  return new Promise<boolean>((resolve, reject) => {
    signal?.throwIfAborted();
    onAbort = () => reject(signal?.reason);
    signal?.addEventListener("abort", onAbort);
    timer = setTimeout(resolve, probeTimeoutMs, true);
    socket.once("connect", () => resolve(true));
    socket.on("error", (error) => {
      const code = errorCode(error) ?? "";
      if (exhausted.has(code)) reject(error);
      else resolve(!nobodyThere.has(code));
    });
    socket.connect({ host, port });
  }).finally(() => {
    clearTimeout(timer);
    if (onAbort) signal?.removeEventListener("abort", onAbort);
    socket.destroy();
  });
}
