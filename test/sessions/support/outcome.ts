/**
 * What a server answered, as one line of text.
 *
 * Owns: the notation, and hiding numbers that differ from run to run. Does not own: when an answer is complete.
 * Invariant: two servers that behave alike give the same line: rows (`1|a; 2|b`) or the tag, `ERROR` with SQLSTATE,
 * message and DETAIL, notices, in the order of the messages,
 * changed ParameterStatus (`{name=value}`) by name.
 */
import { readDataRow, readErrorFields } from "../../../src/wire/query-results.ts";
import type { BackendMessage } from "../../support/wire-client.ts";

/** Process ids of the sessions by number. */
export type ProcessNames = ReadonlyMap<number, string>;

/** The line. `showProcesses`: process ids among the values of rows are shown as names, such as `<A>`. */
export function describeAnswer(
  messages: readonly BackendMessage[],
  processes: ProcessNames,
  showProcesses: boolean,
): string {
  const parts: string[] = [];
  let rows: string[] = [];
  let settings: string[] = [];
  for (const { type, body } of messages) {
    if (type === "S") {
      settings.push(describeParameter(body));
      continue;
    }
    // In which order several are told is up to the list that PostgreSQL keeps of them.
    parts.push(...settings.sort((one, other) => one.toLowerCase().localeCompare(other.toLowerCase())));
    settings = [];
    if (type === "D") rows.push(readDataRow(body).map(showValue).join("|"));
    else if (type === "C") {
      const tag = body.toString("utf8", 0, body.length - 1);
      const text = rows.length > 0 ? rows.join("; ") : tag;
      parts.push(showProcesses ? nameProcesses(text, processes) : text);
      rows = [];
    } else if (type === "E" || type === "N") {
      parts.push(describeError(body, processes));
      rows = [];
    } else if (type === "G") parts.push("copy in");
    else if (type === "A") parts.push(describeNotification(body, processes));
    else if (type === "1") parts.push("parsed");
    else if (type === "I") parts.push("nothing to do");
  }
  return [...parts, ...settings].join(" / ");
}

function showValue(value: string | null): string {
  return value === "" ? "''" : (value ?? "null");
}

function describeError(body: Buffer, processes: ProcessNames): string {
  const fields = readErrorFields(body);
  const severity = fields.get("V") ?? fields.get("S");
  const code = severity === "NOTICE" ? "" : ` ${fields.get("C")}`;
  const detail = fields.get("D");
  return oneLine(`${severity}${code} ${fields.get("M")}${detail === undefined ? "" : ` (${hide(detail, processes)})`}`);
}

function describeParameter(body: Buffer): string {
  const [name, value] = body.toString("utf8").split("\0");
  return `{${name}=${value}}`;
}

function describeNotification(body: Buffer, processes: ProcessNames): string {
  const [channel, payload] = body.toString("utf8", 4).split("\0");
  const sender = processes.get(body.readInt32BE(0)) ?? "a stranger";
  return `NOTIFY ${channel} "${payload}" from ${sender}`;
}

/** Numbers of transactions and objects are nobody's business. */
function hide(detail: string, processes: ProcessNames): string {
  return nameProcesses(detail, processes)
    .replace(/transaction \d+(\/\d+)?/g, "transaction #")
    .replace(/(relation|database|object|class|OID) \d+/g, "$1 #")
    .replace(/\b\d{5,}\b/g, "#");
}

/** Replaces process ids by names. */
function nameProcesses(text: string, processes: ProcessNames): string {
  return text.replace(/\d+/g, (number) => {
    const name = processes.get(Number(number));
    return name === undefined ? number : `<${name}>`;
  });
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, "; ");
}
