/**
 * The door for clients, on the thread that it is opened on: the patched `@electric-sql/pglite-socket` with this project's
 * options and refusals.
 *
 * Owns: the mapping of our options to the library's, the login, the listeners. Does not own: framing, batches and affinity
 * (the library), who runs next (the queue), who may log in (`login.ts`).
 * Invariant: an unpatched library is never started.
 */
import { lookup } from "node:dns/promises";
import * as socket from "@electric-sql/pglite-socket";
import type { EngineDeath } from "../engine/engine.ts";
import type { ConnectionActivity, ListenOptions, TransportStats } from "../engine/listener.ts";
import { YoungGarbage } from "../engine/young-garbage.ts";
import { keepSecret } from "./authenticate.ts";
import { lettingLeave } from "./leaving.ts";
import { createLogin } from "./login.ts";
import { Loopbacks } from "./loopbacks.ts";
import { SocketDirectory } from "./socket-directory.ts";
import { createTlsServer } from "./tls.ts";

// What patches/ makes of the library; a patch that changes what callers can rely on changes it.
const EXPECTED_PATCH_ID = "pglite-devdb-6";

// The library asks its engine for nothing but `waitReady` where the queue is not its own.
const noEngine: socket.SocketEngine = {
  waitReady: Promise.resolve(),
  runExclusive: () => Promise.reject(new Error("the queue has the engine")),
  execProtocolRawStream: () => Promise.reject(new Error("the queue has the engine")),
};

/** SQLSTATE of what the library says when its engine fails. */
const internalError = "XX000";

/** What a door leads to. */
export interface Behind {
  /** Absent: the library's own, over `engine`. */
  readonly queue?: socket.SocketQueue;
  readonly engine?: socket.SocketEngine;
  /** At a stop, before the clients are told; undefined if there is nothing to wait for. */
  beforeFarewell?(): Promise<unknown> | undefined;
  /** Those that clients may name; any, if PostgreSQL itself decides. */
  readonly databases?: readonly string[] | undefined;
  /** What every client does. */
  activity(): ConnectionActivity[];
  /** PostgreSQL has crashed: it is not touched any more, and everybody is told so as soon as it is known what to say. */
  crashed(death: Promise<EngineDeath>): Promise<void>;
  /** What clients sent last, for a person, the newest last; it is forgotten then. */
  takeRuns(): string[];
  /** The library could not have the messages of a client answered by `engine`. */
  failed?(): void;
  /** Called when the door is closed. */
  closed?(): void;
}

/** A door. */
export interface Door {
  /** The bound port. */
  readonly port: number;
  stop(): Promise<void>;
  stats(): TransportStats;
}

/** The error that ended a connection: the last one that the client got, or, without a severity, an error of the system. */
interface ConnectionError extends Error {
  readonly severity?: string;
  readonly code?: string;
  readonly detail?: string;
}

function describe({ severity, code, message, detail }: ConnectionError): string {
  const what = [severity, code].filter(Boolean).join(" ");
  const text = `${what && `${what}: `}${message}${detail ? ` (${detail})` : ""}`;
  return text.replaceAll(/\p{Cc}+/gu, " ");
}

/** Starts listening. Rejects with the system's error (EADDRINUSE …) and leaves nothing open. */
export async function openDoor(
  behind: Pick<Behind, "queue" | "engine" | "databases" | "activity" | "failed" | "beforeFarewell">,
  options: ListenOptions,
  tap?: socket.Tap,
): Promise<Door> {
  requirePatched(socket);
  const { engine = noEngine, databases } = behind;
  const queue = behind.queue ?? new socket.DefaultQueue(engine, tellOf(options.log), options.transactionIdleTimeoutMs);
  const { password, certificate } = options;
  const login = createLogin({
    databases,
    secret: password === undefined ? undefined : await keepSecret(password),
    tls: certificate && createTlsServer(certificate),
  });
  const isLocal = options.host === "localhost";
  const host = isLocal ? (await lookup(options.host)).address : options.host;
  const server = new socket.PGLiteSocketServer({
    db: engine,
    host,
    port: options.port,
    maxConnections: options.maxConnections,
    idleTimeout: options.idleTimeoutMs,
    stallTimeout: options.stallTimeoutMs,
    login,
    queue: lettingLeave(withoutGarbage(queue), () => behind.beforeFarewell?.()),
    ...(tap ? { tap } : {}),
  });
  let isStopping = false;
  server.addEventListener("connectionError", (event) => {
    const { handlerId, error } = (event as CustomEvent<{ handlerId: number; error: ConnectionError }>).detail;
    if (error.code === internalError) behind.failed?.();
    options.log?.(`connection ${handlerId}: ${describe(error)}`, error.severity && !isStopping ? "info" : "debug");
  });
  await server.start();
  const directory = options.socketDir === undefined ? undefined : new SocketDirectory(options.socketDir, server);
  const loopbacks = isLocal ? new Loopbacks(server, options.log ?? (() => {})) : undefined;
  const stop = async (): Promise<void> => {
    isStopping = true;
    await Promise.all([directory?.close(), loopbacks?.close(), server.stop()]);
    options.log?.("stopped listening");
  };
  try {
    await loopbacks?.listen(host);
    await directory?.listen();
  } catch (error) {
    await stop();
    throw error;
  }
  options.log?.(`listening on ${server.getServerConn()}`);
  return {
    port: server.port,
    stop,
    stats: () => ({ ...server.getStats(), connections: behind.activity() }),
  };
}

/** What the library's queue says of its engine. */
function tellOf(log: ListenOptions["log"]) {
  return (message: string, ...details: unknown[]) => log?.([message, ...details.map(String)].join(" "));
}

/** The same queue; what its clients send does not pile up as garbage. */
function withoutGarbage<Q extends socket.SocketQueue>(queue: Q): Q {
  const garbage = new YoungGarbage();
  const submit: socket.SocketQueue["submit"] = queue.submit.bind(queue);
  queue.submit = (connection, batch) => {
    garbage.passed(batch.bytes.length);
    return submit(connection, batch);
  };
  return queue;
}

/** Throws, saying how to install properly, when `library` is not the patched `@electric-sql/pglite-socket`. */
export function requirePatched(library: { PATCH_ID?: unknown }): void {
  if (library.PATCH_ID === EXPECTED_PATCH_ID) return;
  throw new Error(
    "@electric-sql/pglite-socket is not patched: the published library mixes up the answers of concurrent clients. " +
      "In a checkout, run `npm ci` (its prepare step applies patches/); the published pglite-devdb has the patched code inside.",
  );
}
