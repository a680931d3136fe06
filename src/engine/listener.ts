/**
 * A listener for clients as whoever started it sees it: what it takes, what it offers.
 *
 * Owns: these types, and by which address a listener is reached. Does not own: what it does with a client (`transport/`).
 * Invariant: the options can be sent to another thread, but `log`.
 */

/** Receives a line of a listener's. */
export type ListenerLog = (line: string, level?: "info" | "debug") => void;

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
  /** With shared sessions; isolated ones have the engine's. */
  transactionIdleTimeoutMs: number;
  /** What every client has to know; without it, nobody is asked. */
  password?: string | undefined;
  /** PEM, for the clients that ask for TLS; without it, they are told that there is none. */
  certificate?: { readonly cert: string; readonly key: string } | undefined;
  /** Records what its clients send and get. */
  trace?: TraceTarget;
  /** Gets one line for each refused, failed or ended connection, and what becomes of the listener; `debug` unless a level is given. */
  log?: ListenerLog;
}

/** Where a trace of a listener's clients goes. The file is there. */
export interface TraceTarget {
  readonly file: string;
  readonly limitBytes: number;
  /** What its first line says beside the format. */
  readonly header: TraceHeader;
}

/** What a trace says about itself. */
interface TraceHeader {
  /** In ms since 1970; the times in it begin there. */
  readonly began: number;
  /** Whether a server recorded its own clients, or a proxy those of another one. */
  readonly by: "server" | "proxy";
  readonly versions: Readonly<Record<string, string>>;
  readonly settings: Readonly<Record<string, string | number | boolean>>;
}

/** An address by which this machine reaches a listener, also one that listens on all. */
export function reachableHost(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
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
  /**
   * Stops listening, gives clients some 100 ms to hang up by themselves, no longer than they take, and ends those that
   * stay with 57P01; two seconds at most, a little more if a statement does not listen. Idempotent.
   */
  stop(): Promise<void>;
  stats(): Promise<TransportStats>;
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
export interface ConnectionActivity {
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
