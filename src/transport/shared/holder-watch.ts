/**
 * What happens while a client idles in a transaction and others wait for it.
 *
 * Owns: the clock. Prepared statements are taken note of after a moment; after `transactionIdleTimeout`, from when the first
 * waiter came or the holder fell idle, the holder is ended. Does not own: who holds the engine (`shared-queue.ts`).
 * Invariant: nobody is ended for whom nobody waits.
 */
import { previewOf, shown } from "../statement-preview.ts";
import { describe, type Entry, type Member } from "./members.ts";

/** How long a Parse waits for a transaction of another connection before it is answered without the engine, in ms. */
const deferAfterMs = 10;

/** See the head of the file. */
export class HolderWatch {
  readonly #timeoutMs: number;
  readonly #entries: () => Entry[];
  #timer: NodeJS.Timeout | undefined;

  /** Ends a holder after `timeoutMs`, 0 for never. `entries` are those that wait; one that is answered is taken out. */
  constructor(timeoutMs: number, entries: () => Entry[]) {
    this.#timeoutMs = timeoutMs;
    this.#entries = entries;
  }

  /** To be called when nothing runs; `holder` holds the engine. */
  look(holder: Member | undefined): void {
    const waiting = this.#entries().filter((entry) => entry.member !== holder);
    const [first] = waiting;
    if (!holder || !first || holder.state !== "attached") return;
    const timeout = this.#timeoutMs;
    const end = timeout === 0 ? Number.POSITIVE_INFINITY : Math.max(holder.idleSince, first.since) + timeout;
    const parses = waiting.filter((entry) => this.#canDefer(entry));
    const defer = Math.min(...parses.map((entry) => entry.since + deferAfterMs));
    const at = Math.min(end, defer);
    if (at === Number.POSITIVE_INFINITY) return;
    const due = (): void => {
      if (at !== end) this.#deferParses(parses, holder);
      // It may have sent data of its COPY since.
      else if (Date.now() < holder.idleSince + timeout) this.look(holder);
      else endHolder(holder, first);
    };
    this.#timer = setTimeout(due, Math.max(0, at - Date.now()));
    this.#timer.unref();
  }

  /** Until the next look nothing happens. */
  clear(): void {
    clearTimeout(this.#timer);
  }

  // Only the first batch of a connection: what comes before it has not run.
  #canDefer(entry: Entry): boolean {
    const { member, frames, next } = entry;
    if (next > 0 || member.copy || !member.conversation.canDefer(frames)) return false;
    return this.#entries().find((other) => other.member === member) === entry;
  }

  // A client that prepares on one connection while it has a transaction open on another, from one thread (pgbench does),
  // would wait for itself. Its Parse needs nobody's data: it is answered and sent to the engine with its first use.
  #deferParses(parses: readonly Entry[], holder: Member): void {
    const entries = this.#entries();
    for (const entry of parses) {
      const at = entries.indexOf(entry);
      if (at === -1 || Date.now() < entry.since + deferAfterMs) continue;
      entries.splice(at, 1);
      entry.member.delivery.send(entry.member.conversation.defer(entry.frames));
      entry.done();
    }
    this.look(holder);
  }
}

function endHolder(holder: Member, waiting: Entry): void {
  const seconds = (since: number): string => `${((Date.now() - since) / 1000).toFixed(1)} s`;
  const wanted = previewOf(waiting.frames) ?? waiting.member.preview;
  holder.connection.terminate({
    severity: "FATAL",
    code: "25P03",
    message: "terminating connection due to idle-in-transaction timeout",
    detail:
      `${describe(holder)} was idle in a transaction for ${seconds(holder.idleSince)}, last statement: ${shown(holder.preview)}; ` +
      `${describe(waiting.member)} waited for it for ${seconds(waiting.since)} with: ${shown(wanted)}.`,
    hint: "All connections share one session here: commit or roll back before another connection is needed, or raise the transaction idle timeout.",
  });
}
