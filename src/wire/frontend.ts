/**
 * Frontend messages that this project itself sends.
 *
 * Owns: their encoding. Does not own: reading a client's messages (the transport does).
 * Mirrors "Message Formats" in the PostgreSQL manual (protocol-message-formats). Parameters and results are text.
 */
import { encodeFrame, int16, int32 } from "./frames.ts";

/** How much a CopyData has at most. */
const copyPartBytes = 1 << 16;

/** A frontend message: the type byte, the length, the body. A string in the body gets its terminating zero. */
export function encodeMessage(type: string, ...parts: (string | Uint8Array)[]): Buffer {
  return encodeFrame(type.charCodeAt(0), ...parts);
}

/** StartupMessage of protocol 3.0; it has no type byte. */
export function encodeStartup(parameters: Readonly<Record<string, string>>): Buffer {
  const body = Buffer.from(
    `${Object.entries(parameters)
      .map(([name, value]) => `${name}\0${value}\0`)
      .join("")}\0`,
  );
  return Buffer.concat([int32(body.length + 8), int32(3 << 16), body]);
}

/** SSLRequest; it has no type byte. */
export function encodeSslRequest(): Buffer {
  return Buffer.concat([int32(8), int32(80877103)]);
}

/** Query: a string of one or more SQL statements. */
export function encodeQuery(sql: string): Buffer {
  return encodeMessage("Q", sql);
}

/** The data of a COPY … FROM STDIN as CopyData messages. */
export function encodeCopyData(data: Uint8Array): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < data.length; at += copyPartBytes)
    parts.push(encodeMessage("d", data.subarray(at, at + copyPartBytes)));
  return Buffer.concat(parts);
}

/** CopyDone. */
export const copyDone: Uint8Array = encodeMessage("c");

/** Parse; the server infers the parameter types, unless they are given, as OIDs. The name `""` is the unnamed statement. */
export function encodeParse(statement: string, sql: string, types: readonly number[] = []): Buffer {
  return encodeMessage("P", statement, sql, int16(types.length), ...types.map(int32));
}

/** Bind; `null` is SQL null. */
export function encodeBind(portal: string, statement: string, values: readonly (string | null)[]): Buffer {
  const parameters = values.flatMap((value) => {
    if (value === null) return [int32(-1)];
    const bytes = Buffer.from(value);
    return [int32(bytes.length), bytes];
  });
  return encodeMessage("B", portal, statement, int16(0), int16(values.length), ...parameters, int16(0));
}

/** Describe of a statement (`S`) or a portal (`P`). */
export function encodeDescribe(kind: "S" | "P", name: string): Buffer {
  return encodeMessage("D", `${kind}${name}`);
}

/** Execute without a limit of rows. */
export function encodeExecute(portal: string): Buffer {
  return encodeMessage("E", portal, int32(0));
}

/** Close of a statement (`S`) or a portal (`P`). */
export function encodeClose(kind: "S" | "P", name: string): Buffer {
  return encodeMessage("C", `${kind}${name}`);
}

/** Flush. */
export function encodeFlush(): Buffer {
  return encodeMessage("H");
}

/** Sync. */
export function encodeSync(): Buffer {
  return encodeMessage("S");
}
