/**
 * Frontend messages that this project itself sends.
 *
 * Owns: their encoding. Does not own: reading a client's messages (the transport does).
 * Mirrors "Message Formats" in the PostgreSQL manual (protocol-message-formats).
 */

/** A frontend message: the type byte, the length, the body. */
export function encodeMessage(type: string, ...parts: (string | Uint8Array)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(`${part}\0`) : part)));
  const head = Buffer.alloc(5);
  head.write(type, 0, 1, "latin1");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** Query: a string of one or more SQL statements. */
export function encodeQuery(sql: string): Buffer {
  return encodeMessage("Q", sql);
}
