/**
 * How long the event loop has not turned.
 *
 * Owns: the limit, and letting it turn. Does not own: what is run in between (`shared-queue.ts`).
 */

// How long the engine may keep the event loop before it is let turn, in ms.
const longTurnMs = 10;
// How often it turns: once to accept a connection, once to read what it says, once for what follows.
const turns = 3;

/** See the head of the file. */
export class LoopTurns {
  #turnedAt = 0;

  /** It turns now. */
  begin(): void {
    this.#turnedAt = performance.now();
  }

  /** Whether the engine has kept it for long. */
  get areLate(): boolean {
    return performance.now() - this.#turnedAt > longTurnMs;
  }

  /** What came while the engine kept the event loop, a cancel or the end of a client, counts before anything else runs. */
  async catchUp(): Promise<void> {
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
    this.begin();
  }
}
