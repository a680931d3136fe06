/**
 * The connection to a PostgreSQL server before its login: TCP or a Unix socket, and TLS by libpq's `sslmode`.
 *
 * Owns: the attempts, and the check of the certificate. Does not own: the login (`server-client.ts`), the URL (`options/server-url.ts`).
 * Invariant: an attempt that fails leaves no socket.
 */
import { existsSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { ServerConnectionError, UsageError } from "../errors.ts";
import { isSocketDirectory, type ServerUrl } from "../options/server-url.ts";
import { staysHere } from "../system/loopback.ts";
import { hashForBinding } from "../transport/certificate-hash.ts";
import { encodeSslRequest } from "../wire/frontend.ts";

/** Keep-alive: routers and firewalls may forget an idle connection. */
const keepAliveMs = 30_000;
/** The time for one address of a host before Node tries the next; Node's default of 250 ms is too short for a distant server. */
const addressMs = 2_500;

/** Whether an attempt asks for TLS. */
export type Encryption = "never" | "if offered" | "always";

/** A connection that is ready for a login. */
interface ServerSocket {
  readonly stream: Socket;
  /** Whether only the intended server can read the sent data. */
  readonly isPrivate: boolean;
  /** The hash of the server's certificate for SCRAM's channel binding. */
  readonly binding?: Buffer | undefined;
}

/** The attempts that libpq makes, in order. */
export function attemptsOf({ host, hostAddress, sslMode }: ServerUrl): readonly Encryption[] {
  if (isSocketDirectory(hostAddress ?? host) || sslMode === "disable") return ["never"];
  if (sslMode === "prefer") return ["if offered", "never"];
  return sslMode === "allow" ? ["never", "always"] : ["always"];
}

/** Returns a server's place for messages. */
export function placeOf({ host, port }: Pick<ServerUrl, "host" | "port">): string {
  return isSocketDirectory(host) ? `${host}/.s.PGSQL.${port}` : `${host}:${port}`;
}

/** Connects; sets TLS in `told` when the server offers it. Rejects with a `UsageError` if no server listens, and with the reason of `signal`. */
export async function openSocket(
  server: ServerUrl,
  encryption: Encryption,
  signal: AbortSignal,
  told: { isEncrypted: boolean },
): Promise<ServerSocket> {
  signal.throwIfAborted();
  const socket = await reach(server, signal);
  try {
    const isLocal = staysHere(socket);
    if (encryption === "never" || !(await offersTls(socket, signal))) {
      if (encryption === "always")
        throw new ServerConnectionError(
          `${placeOf(server)}: the server has no TLS, but sslmode=${server.sslMode} requires it`,
        );
      return { stream: socket, isPrivate: isLocal };
    }
    told.isEncrypted = true;
    const { stream, isVerified } = await encrypt(socket, server, signal);
    const certificate = stream.getPeerX509Certificate();
    const binding = certificate && hashForBinding(certificate.raw);
    return { stream, isPrivate: isLocal || isVerified, binding };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function reach(server: ServerUrl, signal: AbortSignal): Promise<Socket> {
  const host = server.hostAddress ?? server.host;
  const address = isSocketDirectory(host) ? { path: placeOf({ ...server, host }) } : { host, port: server.port };
  const settings = { noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs };
  const socket = connect({ ...address, ...settings, autoSelectFamilyAttemptTimeout: addressMs });
  return settled(socket, signal, (resolve, reject) => ({
    connect: () => resolve(socket),
    error: (error: NodeJS.ErrnoException) => {
      const why = reasons[error.code ?? ""] ?? error.message;
      reject(new UsageError(`could not connect to ${placeOf(server)}: ${why}`, { cause: error }));
    },
  }));
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  ENOTFOUND: "unknown host",
  EAI_AGAIN: "could not look up the host name",
  ETIMEDOUT: "no answer",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "the network is unreachable",
};

/** The answer to an SSLRequest. */
function offersTls(socket: Socket, signal: AbortSignal): Promise<boolean> {
  socket.write(encodeSslRequest());
  return settled(socket, signal, (resolve, reject) => ({
    data: (answer: Buffer) => {
      const letter = answer.toString("latin1");
      // Bytes after the letter were not encrypted: never treat them as the server's messages.
      if (letter === "S" || letter === "N") resolve(letter === "S");
      else reject(new ServerConnectionError("received an invalid response to SSLRequest"));
    },
    error: (error) => reject(new ServerConnectionError(error.message, { cause: error })),
  }));
}

function encrypt(
  socket: Socket,
  server: ServerUrl,
  signal: AbortSignal,
): Promise<{ stream: TLSSocket; isVerified: boolean }> {
  const { connect: connectTls, checkServerIdentity } = process.getBuiltinModule("node:tls");
  const { isIP } = process.getBuiltinModule("node:net");
  const { host, sslMode } = server;
  const roots = rootsOf(server);
  const isVerified = roots !== undefined;
  const encrypted = connectTls({
    socket,
    ...(isIP(host) ? {} : { servername: host }),
    ...(roots?.ca && { ca: roots.ca }),
    rejectUnauthorized: isVerified,
    checkServerIdentity: (_, certificate) =>
      sslMode === "verify-full" ? checkServerIdentity(host, certificate) : undefined,
  });
  return settled(encrypted, signal, (resolve, reject) => ({
    secureConnect: () => resolve({ stream: encrypted, isVerified }),
    error: (error) =>
      reject(new ServerConnectionError(`${placeOf(server)}: TLS failed: ${error.message}`, { cause: error })),
  }));
}

/** Returns the roots that verify a certificate; undefined if `sslmode` asks for no verification. Throws a `UsageError`. */
function rootsOf({ sslMode, rootCertificate }: ServerUrl): { ca: string | string[] | undefined } | undefined {
  if (rootCertificate === "system") {
    const tls = process.getBuiltinModule("node:tls");
    return { ca: tls.getCACertificates?.("system") };
  }
  const file = rootCertificate ?? join(homedir(), ".postgresql", "root.crt");
  // As in libpq, every mode verifies the certificate if there is a root file.
  if (existsSync(file)) return { ca: readRoots(file) };
  if (!sslMode.startsWith("verify-")) return undefined;
  throw new UsageError(
    `sslmode=${sslMode} needs a root certificate, but the file ${file} does not exist; set sslrootcert=FILE or sslrootcert=system`,
  );
}

function readRoots(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`sslrootcert: could not read ${file}: ${(error as Error).message}`, { cause: error });
  }
}

// biome-ignore lint/suspicious/noExplicitAny: each event has its own arguments.
type Listeners = Readonly<Record<string, (...given: any[]) => void>>;

/** Waits until a listener resolves or rejects, the socket ends, or `signal` aborts; then removes all listeners. */
function settled<T>(
  socket: Socket,
  signal: AbortSignal,
  listen: (resolve: (value: T) => void, reject: (error: unknown) => void) => Listeners,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = () => {
      signal.removeEventListener("abort", abort);
      for (const [event, listener] of Object.entries(listeners)) socket.off(event, listener);
      // The next owner listens one turn later. A close follows any error until then.
      socket.on("error", () => {});
    };
    const fail = (error: unknown) => {
      end();
      socket.destroy();
      reject(error);
    };
    const abort = () => fail(signal.reason);
    const listeners: Listeners = {
      close: () => fail(new ServerConnectionError("the server closed the connection")),
      ...listen((value) => {
        end();
        resolve(value);
      }, fail),
    };
    for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener);
    signal.addEventListener("abort", abort, { once: true });
  });
}
