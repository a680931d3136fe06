/**
 * One message, decoded, with its bytes.
 *
 * Owns: the panel on the right. Does not own: what is chosen (`main.ts`).
 * Invariant: what comes from the trace is text content, never markup.
 */
import { timeWords } from "../axis.ts";
import type { View } from "./view.ts";

/** Error and Notice Message Fields, as in the PostgreSQL manual. */
const fieldNames: Readonly<Record<string, string>> = {
  V: "severity",
  C: "SQLSTATE",
  M: "message",
  D: "detail",
  H: "hint",
  P: "position",
  p: "internal position",
  q: "internal query",
  W: "where",
  s: "schema",
  t: "table",
  c: "column",
  d: "data type",
  n: "constraint",
};

/** An element with a text. */
export function element(tag: string, text: string, className = ""): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className !== "") made.className = className;
  return made;
}

/** Shows an event. */
export function showDetails(panel: HTMLElement, view: View, i: number): void {
  const parts: HTMLElement[] = [];
  const name = view.name(i);
  const isError = name === "ErrorResponse";
  const fields = isError || name === "NoticeResponse" ? errorFields(view.bytes(i)) : [];
  parts.push(element("h2", name || view.words(i), isError ? "is-error" : ""));
  parts.push(listOf([...fields, ...factsOf(view, i)], isError));
  const pipeline = view.pipeline(i);
  const statement = view.statement(i) ?? (pipeline && view.pipelineStatement(pipeline));
  if (statement !== undefined) parts.push(element("h3", "Statement"), element("pre", statement));
  if (name !== "") parts.push(element("h3", "Decoded"), element("pre", `${name} ${view.words(i)}`, "decoded"));
  if (view.number(i, "kept") > 0) {
    const [length, kept] = [view.number(i, "length"), view.number(i, "kept")];
    const more = kept < length ? `, of which the first ${kept} are here` : "";
    parts.push(element("h3", `${length} bytes${more}`), element("pre", hexadecimal(view.bytes(i)), "bytes"));
  }
  panel.replaceChildren(...parts);
  panel.scrollTop = 0;
}

function factsOf(view: View, i: number): [string, string][] {
  const { time, line } = view.events;
  const facts: [string, string][] = [["time", `${(time[i]! / 1e6).toFixed(6)} s`]];
  const connection = view.number(i, "connection");
  const label = view.data.connections.find(({ number }) => number === connection)?.label;
  if (connection > 0) facts.push(["connection", label ? `${connection} (${label})` : `${connection}`]);
  if (view.kind(i) === "message") facts.push(["from", view.number(i, "isFrontend") === 1 ? "client" : "server"]);
  facts.push(["trace", `${view.data.files[view.number(i, "file")]}:${line[i]}`]);
  const pipeline = view.pipeline(i);
  if (pipeline) {
    const { first, waits, last } = pipeline;
    const { asked, answered } = waits.findLast((wait) => wait.first <= i) ?? waits[0]!;
    const waited = answered === undefined ? "no answer in this page" : timeWords(time[answered]! - time[asked]!);
    facts.push(["answer after", waited], ["pipeline took", timeWords(time[last]! - time[first]!)]);
  }
  const wait = view.lanes.flatMap(({ waits }) => waits).find(({ first, last }) => first === i || last === i);
  if (wait) facts.push(["waited for a lock", timeWords(time[wait.last]! - time[wait.first]!)]);
  return facts;
}

function listOf(entries: readonly (readonly [string, string])[], isError: boolean): HTMLElement {
  const list = document.createElement("dl");
  for (const [name, value] of entries) {
    list.append(element("dt", name), element("dd", value, isError && /SQLSTATE|message/.test(name) ? "is-error" : ""));
  }
  return list;
}

function errorFields(bytes: Uint8Array): [string, string][] {
  const parts = new TextDecoder().decode(bytes.subarray(5)).split("\0");
  return parts.flatMap((part) => {
    const name = fieldNames[part[0] ?? ""];
    return name === undefined ? [] : [[name, part.slice(1)] as [string, string]];
  });
}

const perLine = 16;

function hexadecimal(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += perLine) {
    const part = [...bytes.subarray(at, at + perLine)];
    const hex = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = part.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${hex.padEnd(perLine * 3)} ${text}`);
  }
  return lines.join("\n");
}
