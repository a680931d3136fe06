/**
 * A block of ports, held by listeners so that nobody else gets them.
 *
 * Owns: the listeners and the probes of one block. Does not own: which block is tried.
 * Invariant: a block is held whole or not at all; a listener is on the list of what must be closed before it binds.
 *
 * A port counts as free when nobody answers on 127.0.0.1 and ::1 (macOS lets a wildcard listener bind beside a specific
 * one), and 0.0.0.0 and :: can both be bound. `::` is bound for IPv6 only: on Linux it would otherwise cover IPv4 as
 * well and collide with the listener on 0.0.0.0 of the same probe.
 */
import { createServer, type Server } from "node:net";
import { errorCode } from "./error-code.ts";
import { answersOn } from "./probe-port.ts";

/** Ports that nobody else can bind until they are released. */
export interface HeldBlock {
  /** Closes the listeners; their ports are free again when it resolves. Idempotent. */
  release(): Promise<void>;
}

/** A machine without IPv6, or without an address of that family. */
const noSuchFamily = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL", "EPROTONOSUPPORT"]);

/** `EACCES`: Windows keeps ports back for itself, and Linux the privileged ones. */
const portTaken = new Set(["EADDRINUSE", "EACCES"]);

/**
 * Holds `count` consecutive ports from `base` on, or resolves with the first of them that is taken.
 * Rejects with the reason of an aborted `signal`, at once, and with any error that says nothing about a port
 * (EMFILE …); nothing is left bound in either case. The listeners do not keep the process alive.
 */
export async function holdBlock(base: number, count: number, signal?: AbortSignal): Promise<HeldBlock | number> {
  const listeners: Server[] = [];
  let releasing: Promise<void> | undefined;
  const release = () => {
    releasing ??= closeAll(listeners);
    return releasing;
  };
  let isHeld = false;
  try {
    for (let port = base; port < base + count; port++) {
      if (!(await holdPort(port, listeners, signal))) return port;
    }
    isHeld = true;
    return { release };
  } finally {
    if (!isHeld) await release();
  }
}

/** Resolves with false when the port is taken; what was bound until then is in `listeners`. */
async function holdPort(port: number, listeners: Server[], signal: AbortSignal | undefined): Promise<boolean> {
  for (const host of ["127.0.0.1", "::1"]) {
    if (await answersOn(host, port, signal)) return false;
  }
  for (const host of ["0.0.0.0", "::"]) {
    // A visitor is hung up on: an open connection would keep the listener from closing.
    const listener = createServer((socket) => socket.destroy()).unref();
    listeners.push(listener);
    const code = await bind(listener, host, port);
    signal?.throwIfAborted();
    if (code && portTaken.has(code)) return false;
  }
  return true;
}

/** Resolves with the code of the error for a taken port or a missing family, and rejects with any other error. */
function bind(listener: Server, host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    listener.once("listening", () => resolve(undefined));
    listener.on("error", (error) => {
      const code = errorCode(error);
      if (code && (portTaken.has(code) || (host === "::" && noSuchFamily.has(code)))) resolve(code);
      else reject(error);
    });
    // `exclusive`: in a cluster the primary process would otherwise bind, and share, the port.
    listener.listen({ host, port, ipv6Only: host === "::", exclusive: true });
  });
}

async function closeAll(listeners: readonly Server[]): Promise<void> {
  // The callback's error says that a listener never listened: nothing to close.
  await Promise.all(listeners.map((listener) => new Promise<void>((resolve) => listener.close(() => resolve()))));
}
