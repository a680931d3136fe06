/**
 * Frontend messages in words, for a log.
 *
 * Owns: one line about a run of them. Does not own: their names (`message-names.ts`), traces of connections.
 * Invariant: passwords in SQL are masked; reads no further than the bytes that it is given, which may end in the middle of a message.
 */

import { messageName } from "./message-names.ts";
import { Redaction } from "./redaction.ts";

/** For example `Parse "s1" "select $1", Bind, Execute, Sync`; what was cut off ends in `…`. */
export function describeMessages(bytes: Uint8Array): string {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const words: string[] = [];
  let at = 0;
  while (at + 5 <= data.length) {
    const type = String.fromCharCode(data[at]!);
    const end = at + 1 + data.readInt32BE(at + 1);
    words.push([messageName("frontend", type), ...readTexts(type, data.subarray(at + 5, end))].join(" "));
    if (end <= at) break;
    at = end;
  }
  return `${words.join(", ")}${at === data.length ? "" : " …"}`;
}

function readTexts(type: string, body: Buffer): string[] {
  if (type !== "Q" && type !== "P") return [];
  let shown: Uint8Array | undefined;
  const copy = () => {
    shown ??= new Uint8Array(body);
    return shown;
  };
  new Redaction().hide(type.charCodeAt(0), body, 0, body.length, true, copy);
  const texts = Buffer.from(shown ?? body)
    .toString("utf8")
    .split("\0");
  return texts.slice(0, type === "P" ? 2 : 1).map((text) => JSON.stringify(text.replace(/\s+/g, " ")));
}
