/**
 * Which port the server ends up on.
 *
 * Owns: the rule "a taken default port moves, a taken explicit port fails", and the sentences of an address that cannot
 * be used. Does not own: the listener (`transport/`).
 * Invariant: the port that is asked for is only ever listened on by the server itself, when it is ready for clients;
 * with port 0 the system chooses.
 */
import { connect, createServer } from "node:net";
import { reachableHost } from "../engine/listener.ts";
import { PortTakenError, UsageError } from "../errors.ts";
import { type Log, nameOf, type ResolvedOptions } from "../options.ts";
import { findPortOwner } from "./port-owner.ts";

/**
 * Finds out early, before anything slow is started, whether the address belongs to this machine and whether somebody
 * listens on the port. Resolves with the port to ask for: the same, or 0 if it was the default and is taken. Rejects
 * with a `PortTakenError` or a `UsageError`. What it cannot see, `listenOnPort` will.
 */
export async function probePort(options: ResolvedOptions, log: Log): Promise<number> {
  try {
    if (options.givenAs.has("host")) await bindToFreePort(options.host);
    if (options.port === 0) return 0;
    const host = reachableHost(options.host);
    if (!(await isListening(host, options.port))) return options.port;
    throw Object.assign(new Error(`somebody listens on ${host}:${options.port}`), { code: "EADDRINUSE" });
  } catch (error) {
    return fallbackPort(error, options, log);
  }
}

/** Listens on `port`; the port may have been taken since it was probed, so the same rule is applied again. */
export async function listenOnPort<T>(
  port: number,
  listen: (port: number) => Promise<T>,
  options: ResolvedOptions,
  log: Log,
): Promise<T> {
  try {
    return await listen(port);
  } catch (error) {
    return listen(fallbackPort(error, options, log));
  }
}

/** The port to try instead, or the error that the user sees. */
function fallbackPort(error: unknown, options: ResolvedOptions, log: Log): number {
  const { host, port } = options;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "EADDRINUSE" && port !== 0) {
    const taken = describeTaken(port, error as { address?: string });
    if (options.givenAs.has("port")) {
      const hint = "stop that process, choose another port, or take any free one with port 0";
      throw new PortTakenError(`${nameOf(options, "port")}: ${taken}; ${hint}`, { cause: error });
    }
    log("info", `${taken}; taking a free one`);
    return 0;
  }
  const socketPath = (error as { address?: string }).address;
  if (socketPath?.includes("/") && code) {
    const sentence = `${nameOf(options, "socketDir")}: the socket ${socketPath} cannot be made (${code})`;
    throw new UsageError(sentence, { cause: error });
  }
  if (code === "EACCES" && port > 0 && port < 1024) {
    const sentence = `${nameOf(options, "port")}: this user may not listen on port ${port}; ports from 1024 on are free to use`;
    throw new UsageError(sentence, { cause: error });
  }
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND" || code === "EAI_AGAIN" || code === "EAFNOSUPPORT") {
    const sentence = `${nameOf(options, "host")}: ${JSON.stringify(host)} is not an address of this machine (${code})`;
    throw new UsageError(sentence, { cause: error });
  }
  throw error;
}

/** A Unix socket belongs to its port number, so that one in use is a taken port as well. */
function describeTaken(port: number, { address }: { address?: string }): string {
  if (address?.includes("/")) return `port ${port} is taken: the socket ${address} is in use`;
  const owner = findPortOwner(port);
  return `port ${port} is taken${owner ? ` by process ${owner.pid} (${owner.command})` : ""}`;
}

function bindToFreePort(host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", reject);
    server.listen({ host, port: 0, exclusive: true }, () => server.close(() => resolve()));
  });
}

/** How long the probe waits for an answer; on one machine a connection is accepted or refused at once. */
const probeTimeoutMs = 1_000;

function isListening(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: probeTimeoutMs });
    const finish = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => finish(true));
    socket.once("timeout", () => finish(false));
    socket.on("error", () => finish(false));
  });
}
