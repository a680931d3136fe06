/**
 * Messages as bytes, with their headers.
 *
 * Owns: the codes of the message types, encoding a message, the fields that are read out of one. Does not own: cutting a
 * client's stream (the socket library) or a backend's (`message-reader.ts`, `reply-reader.ts`), or what a message means.
 * Invariant: pure. Mirrors "Message Formats" in the PostgreSQL manual (protocol-message-formats).
 */

/** Message types by their name in the manual. A few letters mean one thing from the frontend and another from the backend. */
export const Type = {
  // frontend
  Bind: 0x42,
  Close: 0x43,
  CopyData: 0x64,
  CopyDone: 0x63,
  CopyFail: 0x66,
  Describe: 0x44,
  Execute: 0x45,
  Flush: 0x48,
  FunctionCall: 0x46,
  Parse: 0x50,
  Query: 0x51,
  Sync: 0x53,
  // backend
  BindComplete: 0x32,
  CloseComplete: 0x33,
  CommandComplete: 0x43,
  CopyInResponse: 0x47,
  DataRow: 0x44,
  EmptyQueryResponse: 0x49,
  ErrorResponse: 0x45,
  NoData: 0x6e,
  ParameterStatus: 0x53,
  ParseComplete: 0x31,
  PortalSuspended: 0x73,
  ReadyForQuery: 0x5a,
  RowDescription: 0x54,
} as const;

/** One message: its type and its bytes, header included. The bytes are a view; who keeps them keeps the batch. */
export interface Frame {
  readonly type: number;
  readonly bytes: Uint8Array;
}

/** A message of `type` with the given parts; a string part gets its terminating zero. */
export function encodeFrame(type: number, ...parts: readonly (string | Uint8Array)[]): Buffer {
  const body = parts.map((part) => (typeof part === "string" ? Buffer.from(`${part}\0`) : part));
  const length = body.reduce((sum, part) => sum + part.length, 4);
  const message = Buffer.allocUnsafe(length + 1);
  message[0] = type;
  message.writeInt32BE(length, 1);
  let at = 5;
  for (const part of body) {
    message.set(part, at);
    at += part.length;
  }
  return message;
}

/** An ErrorResponse of severity ERROR ("Error and Notice Message Fields"). */
export function encodeError(code: string, message: string): Buffer {
  return encodeFrame(Type.ErrorResponse, "SERROR", "VERROR", `C${code}`, `M${message}`, Uint8Array.of(0));
}

/** A big-endian Int16 as bytes. */
export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

/** A big-endian Int32 as bytes. */
export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** The big-endian Int32 at `at`. */
export function readInt32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}

/** What a Describe or Close begins with that is about a statement, not a portal. */
export const ofStatement = 0x53;

/** The end of a pipeline: each is answered with a ReadyForQuery. */
export function isPipelineEnd(type: number): boolean {
  return type === Type.Sync || type === Type.Query || type === Type.FunctionCall;
}

/** CopyData, CopyDone, CopyFail, Flush: they neither begin nor end a pipeline. */
export function isNeutral(type: number): boolean {
  return type === Type.CopyData || type === Type.CopyDone || type === Type.CopyFail || type === Type.Flush;
}
