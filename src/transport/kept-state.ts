/**
 * What a client set up in a session that has gone, set up again in the next one.
 *
 * Owns: how: settings, LISTEN, statements with names. Does not own: what it was (`sessions/session-state.ts`).
 * Invariant: a session that lacks a setting or a LISTEN of its client is not given to it: its answers would be wrong without a word. A
 * statement is planned again when its client uses it next, if its result has changed or it cannot be prepared now: then PostgreSQL says why.
 */
import type { Session, SessionOutput } from "../sessions/session.ts";
import { bytesInput, type ClientState } from "../sessions/session-context.ts";
import { encodeBind, encodeExecute, encodeParse, encodeSync } from "../wire/frontend.ts";
import { readLogin } from "./login-answer.ts";

/** A text that is none in this session, by other settings than it was prepared with, stays unknown (26000). */
const syntaxError = "42601";

/** A session that was begun. */
export interface Begun {
  /** Undefined when PostgreSQL has refused it. */
  readonly session: Session | undefined;
  /** All that PostgreSQL has said. */
  readonly words: Buffer;
  /** What it lacks of what was set up in the one before; a sentence. */
  readonly failure?: string;
}

/**
 * Begins one in which there is again what `kept` says, which is asked when the session has begun: what its client had set up in the one
 * before may still be read until then. `encoding` is the client's.
 */
export async function beginSession(
  create: (take: SessionOutput) => Promise<Session | undefined>,
  keptOf: () => ClientState | "unknown" | undefined,
  encoding = "UTF8",
): Promise<Begun> {
  const answer: Uint8Array[] = [];
  const session = await create((bytes) => void answer.push(bytes.slice()));
  const words = Buffer.concat(answer);
  const kept = keptOf();
  if (!session || !kept) return { session, words };
  if (kept === "unknown") return { session, words, failure: "they could not be read" };
  // The client has not sent these statements: a transaction snapshot that they take is not the client's.
  session.isUnwatched = true;
  const restored = await restoreState(session, kept, encoding);
  session.isUnwatched = false;
  return { session, ...restored, words: Buffer.concat([words, restored.words]) };
}

/** Runs messages of ours in a session that is idle. The answer is not for its client. */
export async function runMessages(session: Session, messages: Uint8Array) {
  const answer: Uint8Array[] = [];
  const status = await session.run(bytesInput(messages), (said) => void answer.push(said.slice()));
  return { status, answer: Buffer.concat(answer) };
}

/** Whether its client gets something without asking, or may have. */
export function hearsOthers(kept: ClientState | "unknown" | undefined): boolean {
  return kept === "unknown" || (kept !== undefined && kept.channels.length > 0);
}

async function restoreState(session: Session, state: ClientState, encoding: string): Promise<Omit<Begun, "session">> {
  const parts: Uint8Array[] = [];
  const run = async (...messages: Uint8Array[]) => {
    const { answer } = await runMessages(session, Buffer.concat([...messages, encodeSync()]));
    parts.push(answer);
    return readLogin(answer).error;
  };
  const failed = (failure: string) => ({ words: Buffer.concat(parts), failure });
  // What was read of the backend is in its own encoding.
  if (encoding !== "UTF8" && !isAscii(JSON.stringify(state))) return failed(`its encoding is ${encoding}`);
  for (const setting of state.settings) {
    const call = encodeParse("", "select pg_catalog.set_config($1, $2, false)");
    const error = await run(call, encodeBind("", "", setting), encodeExecute(""));
    if (error) return failed(`${setting[0]} could not be set again: ${error.message}`);
  }
  for (const channel of state.channels) {
    const listen = encodeParse("", `listen "${channel.replaceAll('"', '""')}"`);
    const error = await run(listen, encodeBind("", "", []), encodeExecute(""));
    if (error) return failed(`LISTEN could not be repeated: ${error.message}`);
  }
  for (const statement of state.statements) {
    const { name, text, types } = statement;
    const error = await run(encodeParse(name, text, types));
    if (error?.code === syntaxError) continue;
    if (error) await run(encodeParse(name, "select", types));
    await session.resume(statement, error !== undefined);
  }
  return { words: Buffer.concat(parts) };
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}
