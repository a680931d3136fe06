/**
 * Messages as lines of text, like the traces of PostgreSQL's libpq_pipeline test.
 *
 * Owns: the notation, in both directions: `F` lines become messages to send, backend messages become `B` lines.
 * Does not own: connections, or what should follow what.
 * Invariant: what differs between two right servers (process ids, keys, table oids, source lines) is not in a line.
 */
import { encodeMessage } from "../../src/wire/frontend.ts";
import { readErrorFields } from "../../src/wire/query-results.ts";
import { type BackendMessage, message } from "./wire-client.ts";

type Token = string | null;

const typeNames: Readonly<Record<number, string>> = {
  16: "bool",
  17: "bytea",
  20: "int8",
  21: "int2",
  23: "int4",
  25: "text",
  1700: "numeric",
};

/** Words and JSON strings: `Bind "" "s1" "1" NULL` is Bind, "", "s1", "1", null. */
function tokens(line: string): Token[] {
  const found = line.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
  return found.map((token) => (token.startsWith('"') ? JSON.parse(token) : token === "NULL" ? null : token));
}

/**
 * The message of an `F` line (without the `F`): its name in the manual and its fields. `CopyData` and `Bytes` take
 * text, or hexadecimal digits behind `hex`.
 */
export function encodeLine(line: string): Buffer {
  const [name, first, second, ...rest] = tokens(line);
  const a = first ?? "";
  const b = second ?? "";
  switch (name) {
    case "Query":
      return message.query(a);
    case "Parse":
      return message.parse(a, b);
    case "Bind":
      return message.bind(a, b, rest);
    case "Describe":
      return message.describe(a === "S" ? "S" : "P", b);
    case "Execute":
      return message.execute(a, Number(b));
    case "Close":
      return message.close(a === "S" ? "S" : "P", b);
    case "Sync":
      return message.sync();
    case "Flush":
      return message.flush();
    case "Terminate":
      return message.terminate();
    case "CopyData":
      return message.copyData(a === "hex" ? Buffer.from(b, "hex") : a);
    case "CopyDone":
      return message.copyDone();
    case "CopyFail":
      return message.copyFail(a);
    case "Bytes":
      return a === "hex" ? Buffer.from(b, "hex") : Buffer.from(a);
    case "SSLRequest":
      return message.sslRequest();
    case "GSSENCRequest":
      return message.gssencRequest();
    case "CancelRequest":
      return message.cancelRequest(Number(a), Buffer.from(b, "hex"));
    case "StartupMessage": {
      const [major = 3, minor = 0] = a.split(".").map(Number);
      const parameters = [b, ...rest].filter((part) => part).map((part) => part!.split("=", 2) as [string, string]);
      return message.startup(Object.fromEntries(parameters), (major << 16) | minor);
    }
    default:
      return encodeMessage(name ?? "", a);
  }
}

const text = (bytes: Uint8Array): string => JSON.stringify(Buffer.from(bytes).toString("utf8"));
const cString = (body: Buffer, at = 0): string => body.toString("utf8", at, body.indexOf(0, at));
const formats = (body: Buffer): string =>
  Array.from({ length: body.readInt16BE(1) }, (_, i) => body.readInt16BE(3 + 2 * i)).join(",");

/** The `B` line of a message (without the `B`). */
export function describeMessage({ type, body }: BackendMessage): string {
  switch (type) {
    case "R":
      return body.readInt32BE(0) === 0 ? "AuthenticationOk" : `Authentication ${body.readInt32BE(0)}`;
    case "S":
      return [
        "ParameterStatus",
        ...body
          .toString("utf8")
          .split("\0")
          .slice(0, 2)
          .map((one) => JSON.stringify(one)),
      ].join(" ");
    case "K":
      return `BackendKeyData of ${body.length - 4} bytes`;
    case "v":
      return `NegotiateProtocolVersion ${body.readInt16BE(0)}.${body.readInt16BE(2)}${strings(body.subarray(8))}`;
    case "Z":
      return `ReadyForQuery ${body.toString("latin1")}`;
    case "1":
      return "ParseComplete";
    case "2":
      return "BindComplete";
    case "3":
      return "CloseComplete";
    case "n":
      return "NoData";
    case "s":
      return "PortalSuspended";
    case "I":
      return "EmptyQueryResponse";
    case "C":
      return `CommandComplete ${JSON.stringify(cString(body))}`;
    case "t":
      return ["ParameterDescription", ...parameterTypes(body)].join(" ");
    case "T":
      return ["RowDescription", ...columns(body)].join(" ");
    case "D":
      return ["DataRow", ...values(body)].join(" ");
    case "G":
      return `CopyInResponse ${body[0]} [${formats(body)}]`;
    case "H":
      return `CopyOutResponse ${body[0]} [${formats(body)}]`;
    case "d":
      return body.some((byte) => byte === 0 || byte > 126)
        ? `CopyData hex ${body.toString("hex")}`
        : `CopyData ${text(body)}`;
    case "c":
      return "CopyDone";
    case "E":
      return `ErrorResponse ${problem(body)}`;
    case "N":
      return `NoticeResponse ${problem(body)}`;
    default:
      return `${type} ${body.toString("hex")}`;
  }
}

function problem(body: Buffer): string {
  const fields = readErrorFields(body);
  const hint = fields.get("H");
  return `${fields.get("V")} ${fields.get("C")} ${JSON.stringify(fields.get("M"))}${hint ? ` hint ${JSON.stringify(hint)}` : ""}`;
}

function strings(bytes: Buffer): string {
  const all = bytes.toString("utf8").split("\0").slice(0, -1);
  return all.map((one) => ` ${JSON.stringify(one)}`).join("");
}

function parameterTypes(body: Buffer): string[] {
  return Array.from({ length: body.readInt16BE(0) }, (_, i) => typeName(body.readUInt32BE(2 + 4 * i)));
}

function columns(body: Buffer): string[] {
  const found: string[] = [];
  for (let left = body.readInt16BE(0), at = 2; left > 0; left--) {
    const name = cString(body, at);
    at = body.indexOf(0, at) + 1;
    const isBinary = body.readInt16BE(at + 16) === 1;
    found.push(`${JSON.stringify(name)}:${typeName(body.readUInt32BE(at + 6))}${isBinary ? "/binary" : ""}`);
    at += 18;
  }
  return found;
}

function values(body: Buffer): string[] {
  const found: string[] = [];
  for (let left = body.readInt16BE(0), at = 2; left > 0; left--) {
    const length = body.readInt32BE(at);
    at += 4;
    found.push(length < 0 ? "NULL" : text(body.subarray(at, at + length)));
    at += Math.max(length, 0);
  }
  return found;
}

function typeName(oid: number): string {
  return typeNames[oid] ?? String(oid);
}
