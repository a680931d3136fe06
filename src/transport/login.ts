/**
 * Who may log in, and how: the login that the socket library is given.
 *
 * Owns: the order of encryption, password and the checks of the startup packet, and these checks. Does not own: TLS (`tls.ts`),
 * or the password check (`authenticate.ts`).
 * Invariant: nothing about the databases is told to a client that has not proved that it knows the password.
 */
import type { Login, LoginReply } from "@electric-sql/pglite-socket";
import { SqlStateError } from "../errors.ts";
import type { ScramSecret } from "../wire/scram.ts";
import { authenticate } from "./authenticate.ts";
import type { TlsServer } from "./tls.ts";

/** What a login is decided by. */
interface LoginRules {
  /** Those that clients may name; any, if PostgreSQL itself decides. */
  readonly databases?: readonly string[] | undefined;
  /** Without it, nobody is asked for a password. */
  readonly secret?: ScramSecret | undefined;
  /** Without it, a request for encryption is answered with no. */
  readonly tls?: TlsServer | undefined;
}

/** Makes the login. */
export function createLogin({ databases, secret, tls }: LoginRules): Login {
  return async (request): Promise<LoginReply> => {
    if (request.kind === "ssl" && tls) {
      const socket = tls.upgrade(request.socket, "direct" in request);
      if (socket) return { kind: "upgrade", socket };
    }
    const user = request.kind === "startup" ? request.parameters.get("user") : undefined;
    if (request.kind === "startup" && secret && user) {
      // As a TLSSocket does; `node:tls` is not loaded where nobody asks for it.
      const isEncrypted = "encrypted" in request.socket;
      const certificateHash = isEncrypted ? tls?.certificateHash : undefined;
      try {
        await authenticate(request, user, secret, certificateHash);
      } catch (error) {
        if (!(error instanceof SqlStateError)) throw error;
        const { code, message, detail, hint } = error;
        return { kind: "refuse", error: { severity: "FATAL", code, message, detail, hint } };
      }
    }
    return request.kind === "startup" ? check(request.parameters, databases) : { kind: "accept" };
  };
}

/** What PostgreSQL would not let pass either. */
function check(parameters: ReadonlyMap<string, string>, databases: readonly string[] | undefined): LoginReply {
  const database = parameters.get("database");
  if (!parameters.get("user")) return refuse("28000", "no PostgreSQL user name specified in startup packet");
  if (!/^(false|off|no|n|f|0)?$/i.test(parameters.get("replication") ?? "")) {
    return refuse("0A000", "replication connections are not supported");
  }
  if (database === undefined || (databases && !databases.includes(database))) {
    return refuse("3D000", `database "${database}" does not exist`, onlyOne(databases?.join(", ")));
  }
  return { kind: "accept" };
}

/** The hint for a database that does not exist, or that CREATE DATABASE made: with one session no client can connect to it. */
function onlyOne(database = "none"): string {
  return `All connections share one PostgreSQL session, which is connected to ${database}. With Node 24 or later and isolated sessions each connection has its own.`;
}

function refuse(code: string, message: string, hint?: string): LoginReply {
  return { kind: "refuse", error: { severity: "FATAL", code, message, hint } };
}
