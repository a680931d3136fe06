/**
 * What came of an exchange.
 *
 * Owns: the comparison of what came with the only right answer, and the name for the difference. Does not own:
 * receiving it, or counting.
 * Invariant: pure. Right is only an answer that is equal message by message; the kinds are in the order of their harm,
 * a wrong row that nobody is told about first.
 */
import type { BackendMessage } from "../../wire/message-reader.ts";
import { readDataRow, readErrorFields } from "../../wire/query-results.ts";
import type { Exchange, Reply } from "./exchange.ts";

/** The kinds of corruption, the worst first. */
export const corruptions = [
  "wrongRows",
  "outOfStep",
  "statementError",
  "otherError",
  "noAnswer",
  "connectionLost",
] as const;

/** One of `corruptions`. */
export type Corruption = (typeof corruptions)[number];

/** How receiving an answer ended: with all of it, with silence, or with the connection. */
export type AnswerEnd = "complete" | "silence" | "lost";

/** The messages that came for an exchange, without ParameterStatus and NoticeResponse. */
export interface Answer {
  readonly messages: readonly BackendMessage[];
  /** How many of the exchange's replies were due: a client that sees that something is wrong asks for no more. */
  readonly due: number;
  readonly end: AnswerEnd;
}

/** A judgement; `detail` says for a person what was expected and what came. */
export type Verdict = { readonly kind: "right" } | { readonly kind: Corruption; readonly detail: string };

/**
 * SQLSTATEs of a client that meets another one's statement or portal: protocol violation ("bind message supplies 5
 * parameters, but prepared statement "" requires 1"), no such statement or portal, and both exist already.
 */
const statementErrors: ReadonlySet<string> = new Set(["08P01", "26000", "34000", "42P05", "42P03"]);

/** Judges an answer. */
export function judge(exchange: Exchange, { messages, due, end }: Answer): Verdict {
  const expected = exchange.messages.flatMap((message) => message.replies);
  const differsAt = expected.findIndex((reply, index) => {
    const message = messages[index];
    return message === undefined || !isReply(reply, message);
  });
  if (differsAt < 0 && messages.length === expected.length && end === "complete") return { kind: "right" };

  const at = differsAt < 0 ? expected.length : differsAt;
  const detail = `expected ${showReply(expected[at])}, got ${showMessages(messages.slice(at), end)}`;
  const error = messages.slice(at).find(({ type }) => type === "E");
  if (error) {
    const code = readErrorFields(error.body).get("C") ?? "";
    return { kind: statementErrors.has(code) ? "statementError" : "otherError", detail };
  }
  if (end === "silence") return { kind: "noAnswer", detail };
  if (end === "lost") return { kind: "connectionLost", detail };
  return { kind: sameRows(expected.slice(0, due), messages) ? "outOfStep" : "wrongRows", detail };
}

/** Whether a message is the reply that is due. */
export function isReply(reply: Reply, { type, body }: BackendMessage): boolean {
  if (type !== reply.type) return false;
  switch (reply.type) {
    case "t":
      return readCount(body) === reply.parameters;
    case "T":
      return readCount(body) === reply.columns;
    case "D":
      return sameRow(reply.values, readRow(body));
    case "C":
      return body.toString("utf8", 0, body.length - 1) === reply.tag;
    case "E":
      return readErrorFields(body).get("C") === reply.code;
    case "Z":
      return body.toString("latin1") === reply.status;
    default:
      return true;
  }
}

function sameRows(expected: readonly Reply[], messages: readonly BackendMessage[]): boolean {
  const wanted = expected.filter((reply) => reply.type === "D");
  const rows = messages.filter(({ type }) => type === "D");
  return (
    wanted.length === rows.length && wanted.every((reply, index) => sameRow(reply.values, readRow(rows[index]!.body)))
  );
}

function sameRow(expected: readonly (string | null)[], row: readonly (string | null)[] | undefined): boolean {
  return row?.length === expected.length && expected.every((value, index) => value === row[index]);
}

/** A body that is no row is undefined: a broken server must not stop the storm. */
function readRow(body: Buffer): (string | null)[] | undefined {
  try {
    return readDataRow(body);
  } catch {
    return undefined;
  }
}

function readCount(body: Buffer): number | undefined {
  return body.length < 2 ? undefined : body.readInt16BE(0);
}

const longestShownText = 60;
const mostShownMessages = 4;

function showReply(reply: Reply | undefined): string {
  if (!reply) return "nothing more";
  switch (reply.type) {
    case "D":
      return `row ${showRow(reply.values)}`;
    case "C":
      return `${names.C} ${reply.tag}`;
    case "E":
      return `error ${reply.code}`;
    case "Z":
      return `${names.Z} ${reply.status}`;
    default:
      return names[reply.type] ?? reply.type;
  }
}

function showMessages(messages: readonly BackendMessage[], end: AnswerEnd): string {
  const shown = messages.slice(0, mostShownMessages).map(showMessage);
  if (messages.length > mostShownMessages) shown.push(`${messages.length - mostShownMessages} more`);
  if (end !== "complete") shown.push(end === "silence" ? "silence" : "the end of the connection");
  return shown.length === 0 ? "nothing" : shown.join(", ");
}

function showMessage({ type, body }: BackendMessage): string {
  if (type === "D") return `row ${showRow(readRow(body) ?? ["(unreadable)"])}`;
  if (type === "E") {
    const fields = readErrorFields(body);
    return `error ${fields.get("C")} ${shorten(fields.get("M") ?? "")}`;
  }
  if (type === "C") return `${names.C} ${shorten(body.toString("utf8", 0, body.length - 1))}`;
  if (type === "Z") return `${names.Z} ${body.toString("latin1")}`;
  return names[type] ?? `message ${JSON.stringify(type)}`;
}

function showRow(values: readonly (string | null)[]): string {
  return `(${values.map((value) => (value === null ? "null" : shorten(value))).join(" | ")})`;
}

function shorten(text: string): string {
  return text.length > longestShownText ? `${text.slice(0, longestShownText)}…` : text;
}

const names: Readonly<Record<string, string>> = {
  "1": "ParseComplete",
  "2": "BindComplete",
  "3": "CloseComplete",
  t: "ParameterDescription",
  T: "RowDescription",
  n: "NoData",
  C: "CommandComplete",
  Z: "ReadyForQuery",
};
