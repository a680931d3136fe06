/**
 * What an event says, in words.
 *
 * Owns: the words, the sign and the colour of an event, and which decisions are shown at all. Does not own: the words of a
 * message (`wire/message-words.ts`), rows and lanes.
 */
import { messageWords } from "../../wire/message-words.ts";
import type { TracedMessage, TraceEvent } from "../read/traced-messages.ts";

/** The colours of events. */
export type Color = "red" | "yellow" | "magenta" | "cyan" | "gray";

/** An event in words. */
interface Words {
  /** For the lane of its connection. */
  readonly sign: string;
  readonly text: string;
  readonly color: Color | undefined;
}

const lockReason = "lock of ";

/** The process ids of those who hold the lock that a decision waits for; undefined where it does not wait for one. */
export function lockHolders(event: TraceEvent): readonly number[] | undefined {
  if (event.kind !== "decision" || event.decision !== "wait" || !event.on.startsWith(lockReason)) return undefined;
  return event.on.slice(lockReason.length).split(", ").map(Number);
}

/** Whether it is about the server and not one of its sessions: a reset. */
function isOfServer(event: TraceEvent): boolean {
  return event.kind === "decision" && event.processId === 0;
}

/** Of one trace; it is to be asked in the order of the events. */
export class EventWords {
  readonly #processes: ReadonlyMap<number, number>;
  readonly #decisions: boolean;
  readonly #longest: number | undefined;
  /** Those whose wait for a lock was shown. */
  readonly #waiting = new Set<number>();

  /** `decisions`: also whose turn it was; else only who waits for a lock. `longest`: texts in a message are cut there. */
  constructor(processes: ReadonlyMap<number, number>, decisions: boolean, longest: number | undefined) {
    this.#processes = processes;
    this.#decisions = decisions;
    this.#longest = longest;
  }

  forget(connection: number): void {
    this.#waiting.delete(connection);
  }

  /** Undefined: it is not shown. */
  of(event: TraceEvent, connection: number | undefined): Words | undefined {
    switch (event.kind) {
      case "message":
        return this.#message(event);
      case "closed":
        return { sign: "×", text: "(closed)", color: "gray" };
      case "midway":
        return { sign: "?", text: "(began before this trace; not shown)", color: "gray" };
      case "unreadable":
        return { sign: "?", text: "(what follows is not the protocol)", color: "red" };
      case "dropped":
        return { sign: "", text: `(here ${event.count} records are missing: the disk was too slow)`, color: undefined };
      case "decision":
        return this.#decision(event, connection);
    }
  }

  #decision(event: TraceEvent & { kind: "decision" }, connection: number | undefined): Words | undefined {
    const { decision, on, processId } = event;
    if (isOfServer(event)) return { sign: "", text: `(${decision} of ${on})`, color: "magenta" };
    const holders = lockHolders(event);
    const wasWaiting = connection !== undefined && decision === "woken" && this.#waiting.delete(connection);
    if (holders && connection !== undefined) this.#waiting.add(connection);
    if (!holders && !wasWaiting && !this.#decisions) return undefined;
    const who = connection === undefined ? ` of process ${processId}` : "";
    const words = holders ? `wait for a lock of ${this.#names(holders)}` : `${decision}${on && ` for ${on}`}`;
    return { sign: decision === "wait" ? "┊" : "│", text: `(${words}${who})`, color: "magenta" };
  }

  /** Process ids as connections, where they are known. */
  #names(holders: readonly number[]): string {
    return holders
      .map((id) => (this.#processes.has(id) ? `connection ${this.#processes.get(id)}` : `process ${id}`))
      .join(", ");
  }

  #message(message: TracedMessage): Words {
    const { side, name, isFirst, type } = message;
    const words = messageWords(message, this.#longest);
    const text = `${side === "frontend" ? "F" : "B"} ${name}${words && ` ${words}`}`;
    if (side === "frontend") return { sign: isFirst ? ">" : "»", text, color: "cyan" };
    return { sign: isFirst ? "<" : "«", text, color: type === "E" ? "red" : type === "N" ? "yellow" : undefined };
  }
}
