/**
 * SCRAM-SHA-256: the arithmetic that both sides of an exchange share.
 *
 * Owns: the keys and the proof, and the preparation of a password. Does not own: messages (`scram-server.ts`,
 * `scram-client.ts`), or who compares what.
 * Invariant: pure; a password is used as PostgreSQL uses it, so that every client of PostgreSQL computes the same keys.
 * Mirrors RFC 5802, RFC 7677 and src/common/scram-common.c.
 */
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";

/** The length of every key and of a proof, in bytes. */
export const keyLength = 32;

/** The channel binding of PostgreSQL, as it stands in front of the data that are bound (RFC 5802, gs2-header). */
export const bindingHeader = "p=tls-server-end-point,,";

/** What a server keeps instead of the password. */
export interface ScramSecret {
  readonly salt: Buffer;
  readonly iterations: number;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** The password after `iterations` rounds of salting; takes some milliseconds. */
export function saltPassword(password: string, salt: Uint8Array, iterations: number): Buffer {
  return pbkdf2Sync(password, salt, iterations, keyLength, "sha256");
}

/** What a server keeps of a prepared password. */
export function scramSecret(password: string, salt: Buffer, iterations: number): ScramSecret {
  const salted = saltPassword(password, salt, iterations);
  return { salt, iterations, storedKey: hash(clientKeyOf(salted)), serverKey: serverKeyOf(salted) };
}

/** ClientKey of a salted password. */
export function clientKeyOf(salted: Uint8Array): Buffer {
  return hmac(salted, "Client Key");
}

/** ServerKey of a salted password. */
export function serverKeyOf(salted: Uint8Array): Buffer {
  return hmac(salted, "Server Key");
}

/** H of the RFC. */
export function hash(data: Uint8Array): Buffer {
  return createHash("sha256").update(data).digest();
}

/** HMAC of the RFC. Each character of `text` stands for one byte. */
export function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac("sha256", key).update(text, "latin1").digest();
}

/** Both of `keyLength` bytes. */
export function xor(one: Uint8Array, other: Uint8Array): Buffer {
  return Buffer.from(one.map((byte, at) => byte ^ other[at]!));
}

/**
 * The password as it goes into the keys: prepared with SASLprep, or as it is if it has something that SASLprep prohibits,
 * which is what PostgreSQL does.
 */
export async function preparePassword(password: string): Promise<string> {
  // Nothing in ASCII is mapped; pg_saslprep() leaves it alone too.
  if (/^[\0-\x7f]*$/.test(password)) return password;
  const { saslprep } = await import("@mongodb-js/saslprep");
  try {
    return saslprep(password);
  } catch {
    return password;
  }
}
