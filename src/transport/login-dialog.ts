/**
 * The conversation of an authentication: the client's answers as messages.
 *
 * Owns: reading them, their limit. Does not own: the bytes and their deadline (the library), what is asked (`authenticate.ts`).
 * Invariant: only what has a type of the authentication is read; everything else is refused by its first byte.
 * Mirrors CheckSASLAuth() in src/backend/libpq/auth-sasl.c.
 */
import type { LoginDialog } from "@electric-sql/pglite-socket";
import { SqlStateError } from "../errors.ts";

/** The type of every message of a client that is being authenticated. */
const authenticationResponse = "p".charCodeAt(0);
// PG_MAX_AUTH_TOKEN_LENGTH in src/include/libpq/auth.h
const longestAnswer = 65535;

/**
 * Sends a backend message and resolves with the body of the client's answer. Throws a `SqlStateError` for a client that
 * breaks the rules, and rejects when the client goes.
 */
export async function askClient(dialog: LoginDialog, message: Uint8Array): Promise<Uint8Array> {
  dialog.write(message);
  const type = (await dialog.read(1))[0];
  if (type !== authenticationResponse) {
    throw new SqlStateError("08P01", `expected SASL response, got message type ${type}`);
  }
  const length = new DataView(Uint8Array.from(await dialog.read(4)).buffer).getInt32(0);
  if (length < 4 || length > longestAnswer) throw new SqlStateError("08P01", "invalid message length");
  return dialog.read(length - 4);
}
