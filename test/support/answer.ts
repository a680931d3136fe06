/**
 * An answer of a server in one line, so that a test can say in a string what it expects.
 *
 * Owns: waiting for the answer, with a bound, and its summary. Does not own: the connection, or what is right.
 * Invariant: an answer always comes back, whatever the server does; only whole answers are taken from the client.
 */
import { readErrorFields } from "../../src/wire/query-results.ts";
import { within } from "./wait-until.ts";
import { type BackendMessage, rows, type WireClient } from "./wire-client.ts";

/** What `ask` returns when the server said nothing that ends an answer. */
export const NO_ANSWER = "no answer";

const TURN_MS = 10;

/** Sends messages in one write and returns the summary of what comes up to ReadyForQuery. */
export async function ask(client: WireClient, messages: Uint8Array[], limitMs = 20_000): Promise<string> {
  client.send(...messages);
  return hear(client, limitMs);
}

/**
 * The summary of the next answer: the rows (`1|a; 2|b`), or the tag where there are none (`INSERT 0 1`), or the
 * SQLSTATE of its error; `FATAL ` and the SQLSTATE, or `closed`, where the connection ended instead; `no answer` where
 * nothing that ends an answer came within `limitMs`. Several statements in one answer are joined by ` / `.
 *
 * The limit counts turns of the event loop of 10 ms each. So it grows on a busy machine, and a server in this process
 * had that many turns, whatever the clock says.
 */
export async function hear(client: WireClient, limitMs = 20_000): Promise<string> {
  const complete = (): boolean => client.ended || client.unread.some(({ type }) => type === "Z");
  for (let turns = limitMs / TURN_MS; !complete(); turns--) {
    if (turns <= 0) return NO_ANSWER;
    await within(TURN_MS, client.received());
  }
  const messages: BackendMessage[] = [];
  while (client.unread.length > 0 && messages.at(-1)?.type !== "Z") messages.push(await client.next());
  return summary(messages);
}

/** The line that `ask` returns for these messages. */
export function summary(messages: readonly BackendMessage[]): string {
  const parts: string[] = [];
  let statement: BackendMessage[] = [];
  for (const message of messages) {
    if (message.type === "D") statement.push(message);
    else if (message.type === "C") {
      parts.push(statement.length > 0 ? lines(statement) : message.body.toString("utf8", 0, message.body.length - 1));
      statement = [];
    } else if (message.type === "E") {
      const fields = readErrorFields(message.body);
      parts.push(`${fields.get("V") === "FATAL" ? "FATAL " : ""}${fields.get("C")}`);
      statement = [];
    }
  }
  if (parts.length === 0) return messages.some(({ type }) => type === "Z") ? "" : "closed";
  return parts.join(" / ");
}

function lines(dataRows: readonly BackendMessage[]): string {
  return rows(dataRows)
    .map((row) => row.map((value) => value ?? "null").join("|"))
    .join("; ");
}
