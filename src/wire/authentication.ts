/**
 * The messages of an authentication.
 *
 * Owns: their encoding and reading, on both sides. Does not own: what SCRAM puts into them (`scram-server.ts`,
 * `scram-client.ts`), or when they are sent.
 * Mirrors "Message Formats" (Authentication…, SASL…Response) in the PostgreSQL manual.
 */
import { int32 } from "./frames.ts";
import { encodeMessage } from "./frontend.ts";

/** The SASL mechanisms of PostgreSQL; with `plus` the exchange is bound to the TLS certificate of the server. */
export const mechanism = { plain: "SCRAM-SHA-256", plus: "SCRAM-SHA-256-PLUS" } as const;

/** The type field of an Authentication message. */
export const request = { ok: 0, cleartext: 3, md5: 5, sasl: 10, saslContinue: 11, saslFinal: 12 } as const;

/** AuthenticationSASL: the mechanisms that the server takes, the preferred one first. */
export function encodeSasl(mechanisms: readonly string[]): Buffer {
  return encodeMessage("R", int32(request.sasl), ...mechanisms, "");
}

/** AuthenticationSASLContinue. */
export function encodeSaslContinue(data: string): Buffer {
  return encodeMessage("R", int32(request.saslContinue), Buffer.from(data));
}

/** AuthenticationSASLFinal. */
export function encodeSaslFinal(data: string): Buffer {
  return encodeMessage("R", int32(request.saslFinal), Buffer.from(data));
}

/** SASLInitialResponse. */
export function encodeSaslInitialResponse(name: string, data: string): Buffer {
  const bytes = Buffer.from(data);
  return encodeMessage("p", name, int32(bytes.length), bytes);
}

/** SASLResponse. */
export function encodeSaslResponse(data: string): Buffer {
  return encodeMessage("p", Buffer.from(data));
}

/**
 * Reads the body of a SASLInitialResponse: the chosen mechanism, and the data, which is undefined if the client sent none
 * (not even an empty one). Returns undefined for a body that is not of that shape.
 */
export function readSaslInitialResponse(
  body: Uint8Array,
): { mechanism: string; data: Uint8Array | undefined } | undefined {
  const end = body.indexOf(0);
  const at = end + 5;
  if (end < 0 || body.length < at) return undefined;
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  const length = bytes.readInt32BE(end + 1);
  if (body.length !== at + Math.max(length, 0) || length < -1) return undefined;
  return { mechanism: bytes.toString("utf8", 0, end), data: length === -1 ? undefined : body.subarray(at) };
}

/** PasswordMessage. */
export function encodePassword(text: string): Buffer {
  return encodeMessage("p", text);
}
