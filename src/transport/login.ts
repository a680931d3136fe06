/**
 * Who may log in, and how: the login that the socket library is given.
 *
 * Owns: the order of encryption, password and the checks of the startup packet. Does not own: TLS (`tls.ts`), the password
 * check (`authenticate.ts`), or the checks themselves (the library's own login).
 * Invariant: nothing about the databases is told to a client that has not proved that it knows the password.
 */
import { TLSSocket } from "node:tls";
import { defaultLogin, type Login, type LoginReply } from "@electric-sql/pglite-socket";
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
      const certificateHash = request.socket instanceof TLSSocket ? tls?.certificateHash : undefined;
      try {
        await authenticate(request.dialog, user, secret, certificateHash);
      } catch (error) {
        if (!(error instanceof SqlStateError)) throw error;
        const { code, message, detail, hint } = error;
        return { kind: "refuse", error: { severity: "FATAL", code, message, detail, hint } };
      }
    }
    const named = request.kind === "startup" ? request.parameters.get("database") : undefined;
    return defaultLogin(databases ?? (named ? [named] : []))(request);
  };
}
