/**
 * The names of the protocol's messages, as in the PostgreSQL manual.
 *
 * Owns: the two tables, and the packets that a connection begins with. Does not own: what is in a message.
 * Mirrors "Message Formats" (protocol-message-formats) and libpq's pqTraceOutputMessage.
 */

/** Who sends a message. */
export type Side = "frontend" | "backend";

const frontend: Readonly<Record<string, string>> = {
  B: "Bind",
  C: "Close",
  D: "Describe",
  E: "Execute",
  F: "FunctionCall",
  H: "Flush",
  P: "Parse",
  Q: "Query",
  S: "Sync",
  X: "Terminate",
  c: "CopyDone",
  d: "CopyData",
  f: "CopyFail",
  p: "AuthenticationResponse",
};

const backend: Readonly<Record<string, string>> = {
  "1": "ParseComplete",
  "2": "BindComplete",
  "3": "CloseComplete",
  A: "NotificationResponse",
  C: "CommandComplete",
  D: "DataRow",
  E: "ErrorResponse",
  G: "CopyInResponse",
  H: "CopyOutResponse",
  I: "EmptyQueryResponse",
  K: "BackendKeyData",
  N: "NoticeResponse",
  R: "Authentication",
  S: "ParameterStatus",
  T: "RowDescription",
  V: "FunctionCallResponse",
  W: "CopyBothResponse",
  Z: "ReadyForQuery",
  c: "CopyDone",
  d: "CopyData",
  n: "NoData",
  s: "PortalSuspended",
  t: "ParameterDescription",
  v: "NegotiateProtocolVersion",
};

const tables = { frontend, backend };

/** The name of a message; one of a type that there is not is called `message "x"`. */
export function messageName(side: Side, type: string): string {
  return tables[side][type] ?? `message ${JSON.stringify(type)}`;
}

const packets: ReadonlyMap<number, string> = new Map([
  [80877102, "CancelRequest"],
  [80877103, "SSLRequest"],
  [80877104, "GSSENCRequest"],
]);

/** The name of a packet without a type, by the number behind its length: a version of the protocol, or a request. */
export function packetName(code: number): string {
  return packets.get(code) ?? "StartupMessage";
}
