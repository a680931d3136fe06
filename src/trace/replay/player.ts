/**
 * Does again what a trace's clients did.
 *
 * Owns: when each step is done. Does not own: the steps (`script.ts`), what their answers are worth (`compare.ts`).
 * Invariant: one step at a time, in the recorded order; a step is done when what had come before it has come again, or
 * nothing has come for so long that it will not.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type PlayTap, type PlayTarget, ReplayConnection } from "./replay-connection.ts";
import type { Script, Step } from "./script.ts";

/** How patient it is. */
export interface Pace {
  /**
   * `counted`: until all replies that had come before a step have come again. `quiet`: until nobody gets anything any more,
   * for a script of which something was left out, whose replies nobody knows.
   */
  readonly until: "counted" | "quiet";
  /** So long nothing may come before a step whose predecessor was not answered, so that they arrive one after the other. */
  readonly gapMs: number;
  /** After so long a silence nothing is waited for any more. */
  readonly patienceMs: number;
  /** A login that says nothing for so long has failed. */
  readonly loginMs?: number;
}

/** Plays a script; resolves when it is over and everybody has hung up. */
export async function play({ steps, came }: Script, target: PlayTarget, pace: Pace, tap: PlayTap): Promise<void> {
  const player = new Player(target, pace, tap);
  try {
    for (const step of steps) {
      await player.wait(step.came, step.pauseMs);
      await player.run(step);
    }
    await player.wait(came, 0);
    await player.settle();
  } finally {
    await player.end();
  }
}

const pollMs = 1;
/** A reply that came before it had to may not come in another server: it is waited for so long. */
const earlyMs = 100;
/** A server that is busy may pause so long inside of an answer. */
const lastAnswerMs = 30;

class Player {
  readonly #target: PlayTarget;
  readonly #pace: Pace;
  readonly #tap: PlayTap;
  readonly #connections = new Map<number, ReplayConnection>();
  /** How many replies each connection should have by now. */
  readonly #due = new Map<number, number>();
  #last: { readonly connection: ReplayConnection; readonly isAnswered: boolean; readonly replies: number } | undefined;

  constructor(target: PlayTarget, pace: Pace, tap: PlayTap) {
    this.#target = target;
    this.#pace = pace;
    this.#tap = tap;
  }

  /** Until the next step may be done. */
  async wait(came: ReadonlyMap<number, number>, pauseMs: number): Promise<void> {
    for (const [connection, count] of came) this.#due.set(connection, (this.#due.get(connection) ?? 0) + count);
    const { until, gapMs, patienceMs } = this.#pace;
    // What took long may take long again.
    const longest = until === "counted" ? patienceMs + 2 * pauseMs : patienceMs;
    while (!this.#isReady() && !this.#isSilentFor(longest)) await delay(pollMs);
    this.#forgive();
    if (until === "counted" && came.size > 0) return;
    if (until === "counted") while (!this.#isLastAnswered() && !this.#isSilentFor(earlyMs)) await delay(pollMs);
    while (!this.#isSilentFor(gapMs)) await delay(pollMs);
  }

  #isReady(): boolean {
    if (this.#pace.until === "quiet") return this.#isLastAnswered();
    return [...this.#due].every(([number, count]) => {
      const connection = this.#connections.get(number);
      return !connection || connection.hasEnded || connection.replies >= count;
    });
  }

  /** Until the last answer is over, as far as one can tell. */
  async settle(): Promise<void> {
    while (this.#pace.until === "quiet" && !this.#isSilentFor(lastAnswerMs)) await delay(pollMs);
  }

  /** Whether the last step got what it had got when it was recorded: something, at once, or nothing. */
  #isLastAnswered(): boolean {
    const last = this.#last;
    return !last?.isAnswered || last.connection.hasEnded || last.connection.replies > last.replies;
  }

  /** What has not come will not: nobody waits for it again. */
  #forgive(): void {
    for (const [number, connection] of this.#connections) {
      if (this.#due.has(number)) this.#due.set(number, Math.min(this.#due.get(number)!, connection.replies));
    }
  }

  #isSilentFor(ms: number): boolean {
    const lastAt = Math.max(0, ...[...this.#connections.values()].map((each) => each.lastAt));
    return performance.now() - lastAt >= ms;
  }

  async run(step: Step): Promise<void> {
    const { connection: number } = step;
    if (step.kind === "connect") {
      const connection = new ReplayConnection(number, this.#target, this.#tap);
      this.#connections.set(number, connection);
      const { loginMs = longestLoginMs } = this.#pace;
      connection.begin(step.parameters, step.asksForGss);
      while (!connection.isSettled && !this.#isSilentFor(loginMs)) await delay(pollMs);
      this.#last = undefined;
      return;
    }
    if (step.kind === "reset") return await this.#target.reset?.();
    if (step.kind === "cancel") return await this.#cancel(number, step.of);
    const connection = this.#connections.get(number);
    if (!connection) return;
    const { replies } = connection;
    if (step.kind === "send") connection.send(step.bytes);
    else await connection.close();
    this.#last = { connection, isAnswered: step.isAnswered, replies };
  }

  async #cancel(number: number, of: number): Promise<void> {
    const key = this.#connections.get(of)?.key;
    if (!key) return;
    if (this.#pace.until === "counted") await this.#untilHeard(number);
    const connection = new ReplayConnection(number, this.#target, this.#tap);
    const packet = Buffer.alloc(8);
    packet.writeInt32BE(8 + key.length, 0);
    packet.writeInt32BE(80877102, 4);
    connection.send(Buffer.concat([packet, key]));
    // The server hangs up when it has been heard.
    while (!connection.hasEnded && performance.now() - connection.lastAt < this.#pace.patienceMs) await delay(pollMs);
    connection.destroy();
  }

  /**
   * Until the server has begun with what it was sent last. A statement that waits says nothing, and a cancel that overtakes it on a
   * busy machine meets another moment of it, or none. Somebody who logs in now is served after it.
   */
  async #untilHeard(number: number): Promise<void> {
    const parameters = [...this.#connections.values()].find(({ isSettled }) => isSettled)?.parameters;
    const probe = new ReplayConnection(number, this.#target, () => {});
    probe.begin(parameters ?? {});
    while (!probe.isSettled && performance.now() - probe.lastAt < longestLoginMs) await delay(pollMs);
    await probe.close();
  }

  async end(): Promise<void> {
    // A server with one session for all may wait for the rest of a pipeline, or never let others in again.
    for (const connection of this.#connections.values()) connection.finish();
    while (!this.#isSilentFor(this.#pace.gapMs)) await delay(pollMs);
    for (const connection of this.#connections.values()) connection.destroy();
  }
}

const longestLoginMs = 5_000;
