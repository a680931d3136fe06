/**
 * The password check of a login: the messages of a SASL authentication around SCRAM-SHA-256.
 *
 * Owns: the order of the messages, the offered mechanisms, and what a wrong password is answered with. Does not own: the
 * arithmetic and the messages' contents (`wire/`), the client's answers as messages (`login-dialog.ts`), or the clock, which is
 * the connection's.
 * Invariant: one password holds for every user name, and an exchange is the same for all of them, so that neither its
 * messages nor its time tell which names exist. Mirrors CheckSASLAuth() in src/backend/libpq/auth-sasl.c.
 */
import { randomBytes } from "node:crypto";
import type { LoginDialog } from "@electric-sql/pglite-socket";
import { SqlStateError } from "../errors.ts";
import {
  encodeSasl,
  encodeSaslContinue,
  encodeSaslFinal,
  mechanism,
  readSaslInitialResponse,
} from "../wire/authentication.ts";
import { preparePassword, type ScramSecret, scramSecret } from "../wire/scram.ts";
import { ScramServer } from "../wire/scram-server.ts";
import { askClient } from "./login-dialog.ts";

// As in src/include/common/scram-common.h and src/backend/libpq/auth-sasl.c.
const saltLength = 16;
const nonceLength = 18;
const iterations = 4096;
const longestMessage = 1024;

/** What is kept of the password while the server runs; takes some milliseconds. */
export async function keepSecret(password: string): Promise<ScramSecret> {
  return scramSecret(await preparePassword(password), randomBytes(saltLength), iterations);
}

/**
 * Lets the client prove that it knows the password. `certificateHash` is that of the TLS connection, for channel binding;
 * undefined without TLS. Throws a `SqlStateError` for a wrong password (28P01) and for a client that breaks the rules,
 * and rejects when the client goes.
 */
export async function authenticate(
  dialog: LoginDialog,
  user: string,
  secret: ScramSecret,
  certificateHash: Buffer | undefined,
): Promise<void> {
  const offered = certificateHash ? [mechanism.plus, mechanism.plain] : [mechanism.plain];
  const answer = readSaslInitialResponse(checked(await askClient(dialog, encodeSasl(offered))));
  if (!answer) throw new SqlStateError("08P01", "invalid message format");
  if (!offered.some((name) => name === answer.mechanism)) {
    throw new SqlStateError("08P01", "client selected an invalid SASL authentication mechanism");
  }
  const scram = new ScramServer({
    secret,
    serverNonce: randomBytes(nonceLength).toString("base64"),
    binding: answer.mechanism === mechanism.plus ? certificateHash : undefined,
    bindable: certificateHash !== undefined,
  });
  // A client may wait for an empty challenge before it begins.
  const clientFirst = answer.data ?? checked(await askClient(dialog, encodeSaslContinue("")));
  const clientFinal = checked(await askClient(dialog, encodeSaslContinue(scram.first(clientFirst))));
  const serverFinal = scram.final(clientFinal);
  if (serverFinal === undefined) {
    throw new SqlStateError("28P01", `password authentication failed for user "${user}"`);
  }
  dialog.write(encodeSaslFinal(serverFinal));
}

function checked(message: Uint8Array): Uint8Array {
  if (message.length > longestMessage) throw new SqlStateError("08P01", "invalid message length");
  return message;
}
