/**
 * The door for clients: the patched `@electric-sql/pglite-socket` with this project's options and refusals.
 *
 * Owns: the mapping of our options to the library's, the choice of queue and login, the listeners. Does not own: framing,
 * batches and affinity (the library), who may log in (`login.ts`), or what a batch does (the engine).
 * Invariant: nothing else in the project imports the library, and an unpatched library is never started.
 */
import * as socket from "@electric-sql/pglite-socket";
import type { Engine } from "../engine/engine.ts";
import { YoungGarbage } from "../engine/young-garbage.ts";
import { keepSecret } from "./authenticate.ts";
import type { Certificate } from "./certificate.ts";
import { IsolatedQueue } from "./isolated-queue.ts";
import { createLogin } from "./login.ts";
import { createTlsServer } from "./tls.ts";

// What patches/ makes of the library; a patch that changes what callers can rely on changes it.
const EXPECTED_PATCH_ID = "pglite-devdb-1";

/** Of one COPY; it waits in a temporary file. */
const maxCopyBytes = 16 * 1024 ** 3;

/** What `listen` takes; times in milliseconds, 0 for never. */
export interface ListenOptions {
  host: string;
  /** 0 takes any free port. */
  port: number;
  /** Also listen on `DIR/.s.PGSQL.PORT`. */
  socketDir?: string;
  maxConnections: number;
  idleTimeoutMs: number;
  stallTimeoutMs: number;
  transactionIdleTimeoutMs: number;
  /** What every client has to know; without it, nobody is asked. */
  password?: string | undefined;
  /** For the clients that ask for TLS; without it, they are told that there is none. */
  certificate?: Certificate | undefined;
  /** Gets one line per refused, failed or ended connection. */
  log?: (line: string) => void;
}

/** A running listener. */
export interface Transport {
  readonly host: string;
  /** The bound port. */
  readonly port: number;
  readonly socketDir: string | undefined;
  /** What clients have to know, if they are asked. */
  readonly password?: string | undefined;
  /** Whether clients that ask for TLS get it. */
  readonly offersTls?: boolean;
  /** Ends every client with 57P01 and stops listening, within a second. Idempotent. */
  stop(): Promise<void>;
  stats(): TransportStats;
}

/** What goes on at one moment. */
export interface TransportStats {
  activeConnections: number;
  queuedQueries: number;
  maxConnections: number;
  /** One entry per logged-in connection. */
  connections: ConnectionActivity[];
}

/** What a connection does. */
interface ConnectionActivity {
  /** The process id of its BackendKeyData. */
  processId: number;
  user: string;
  applicationName: string;
  state: "running" | "waiting" | "idle in transaction" | "idle";
  /** The beginning of the statement that it runs, waits to run, or ran last. */
  statement: string;
  /** How long it has been in that state, in ms. */
  forMs: number;
}

/** Starts listening. Rejects with the system's error (EADDRINUSE …) and leaves nothing open. */
export async function listen(engine: Engine, options: ListenOptions): Promise<Transport> {
  requirePatched(socket);
  const { password, certificate } = options;
  const login = createLogin({
    databases: engine.databases,
    secret: password === undefined ? undefined : await keepSecret(password),
    tls: certificate && createTlsServer(certificate),
  });
  const log = options.log && logger(options.log);
  const server = new socket.PGLiteSocketServer({
    db: engine,
    host: options.host,
    port: options.port,
    maxConnections: options.maxConnections,
    idleTimeout: options.idleTimeoutMs,
    stallTimeout: options.stallTimeoutMs,
    login,
    queue: withoutGarbage(engine.openSession ? new IsolatedQueue(engine) : sharedQueue(engine, options, log)),
    ...(options.socketDir === undefined ? {} : { socketDir: options.socketDir }),
    ...(log ? { debug: true, log } : {}),
  });
  await server.start();
  return {
    host: options.host,
    port: server.port,
    socketDir: options.socketDir,
    password,
    offersTls: certificate !== undefined,
    stop: () => server.stop(),
    stats: () => server.getStats(),
  };
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

function sharedQueue(engine: Engine, options: ListenOptions, log: Logger | undefined): socket.SharedQueue {
  return new socket.SharedQueue(engine, {
    transactionIdleTimeout: options.transactionIdleTimeoutMs,
    maxCopyBytes,
    log: (message, ...details) => log?.(`[PGLiteSocketServer] ${message}`, ...details),
  });
}

/** Throws, saying how to install properly, when `library` is not the patched `@electric-sql/pglite-socket`. */
export function requirePatched(library: { PATCH_ID?: unknown }): void {
  if (library.PATCH_ID === EXPECTED_PATCH_ID) return;
  throw new Error(
    "@electric-sql/pglite-socket is not patched: the published library mixes up the answers of concurrent clients. " +
      "In a checkout, run `npm ci` (its prepare step applies patches/); the published pglite-devdb has the patched code inside.",
  );
}

type Logger = (message: string, ...details: unknown[]) => void;

function logger(log: (line: string) => void): Logger {
  return (message, ...details) => log([message, ...details.map(String)].join(" "));
}
