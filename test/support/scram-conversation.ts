/**
 * A password login message by message, so that a test can change or cut every one of them.
 *
 * Owns: the right messages of the client. Does not own: what a test makes of them.
 */
import { encodeSaslInitialResponse, encodeSaslResponse, mechanism } from "../../src/wire/authentication.ts";
import { ScramClient } from "../../src/wire/scram-client.ts";
import { type BackendMessage, message, type WireClient } from "./wire-client.ts";

/** StartupMessage of `user` for the database `postgres`. */
export function startupOf(user = "postgres", database = "postgres"): Buffer {
  return message.startup({ user, database });
}

/** What the server says in an Authentication message: its type field, and the rest as text. */
export function authentication({ type, body }: BackendMessage): { request: number; data: string } {
  if (type !== "R") throw new Error(`not an Authentication message: ${type}`);
  return { request: body.readInt32BE(), data: body.toString("latin1", 4) };
}

/** Logs in up to, not including, the answer to the client's last message. */
export async function logInWith(client: WireClient, password: string, user?: string): Promise<void> {
  const scram = new ScramClient(password);
  client.send(startupOf(user));
  await client.next();
  client.send(encodeSaslInitialResponse(mechanism.plain, scram.first));
  client.send(encodeSaslResponse(scram.final(authentication(await client.next()).data)));
}
