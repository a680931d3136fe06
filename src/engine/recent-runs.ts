/**
 * What clients sent last, for the log of a death.
 *
 * Owns: the beginnings of the last batches. Does not own: when they are shown. Invariant: it keeps no more than its limits say.
 */

import { limits } from "../limits.ts";
import { describeMessages } from "../wire/describe-messages.ts";

/** See the head of the file. */
export class RecentRuns {
  readonly #recent: Buffer[] = [];

  /** Copies what it keeps. */
  add(messages: Uint8Array): void {
    this.#recent.push(Buffer.from(messages.subarray(0, Math.min(messages.length, limits.rememberedBytes))));
    if (this.#recent.length > limits.rememberedRuns) this.#recent.shift();
  }

  /** For a person, the newest last; they are forgotten then. */
  take(): string[] {
    return this.#recent.splice(0).map(describeMessages);
  }
}
