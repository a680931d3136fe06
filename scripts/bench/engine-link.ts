/**
 * Clients of a PGlite in this very process: the same bytes, without a socket.
 *
 * Owns: who of several such clients runs next. Does not own: the load.
 * Invariant: what a client flushes runs as one call of `execProtocolRawStream`; a client whose transaction is open keeps
 * the engine until it ends, which is what `pglite.transaction()` does for a program that uses PGlite directly.
 */
import type { PGlite } from "@electric-sql/pglite";
import { type Answer, AnswerReader } from "./answer-reader.ts";
import type { Link } from "./link.ts";

/** The clients of one PGlite. */
export class EngineLinks {
  readonly #engine: PGlite;
  readonly #queue: EngineLink[] = [];
  #holder: EngineLink | undefined;
  #running = false;

  constructor(engine: PGlite) {
    this.#engine = engine;
  }

  /** One more client. */
  open(): Link {
    return new EngineLink((link) => {
      this.#queue.push(link);
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let link = this.#next(); link !== undefined; link = this.#next()) {
      const running = link;
      const bytes = running.take();
      try {
        await this.#engine.runExclusive(() =>
          this.#engine.execProtocolRawStream(bytes, { onRawData: (data) => running.push(data) }),
        );
        this.#holder = running.status === "I" ? undefined : running;
        running.flush();
      } catch (error) {
        this.#holder = undefined;
        running.onLost((error as Error).message);
      }
    }
    this.#running = false;
  }

  #next(): EngineLink | undefined {
    if (this.#holder === undefined) return this.#queue.shift();
    const at = this.#queue.indexOf(this.#holder);
    return at < 0 ? undefined : this.#queue.splice(at, 1)[0];
  }
}

class EngineLink implements Link {
  onAnswer: (answer: Answer) => void = () => {};
  onLost: (reason: string) => void = () => {};
  status = "I";
  readonly #submit: (link: EngineLink) => void;
  readonly #reader = new AnswerReader((answer) => {
    this.status = answer.status;
    this.onAnswer(answer);
  });
  #outgoing: Uint8Array[] = [];
  #queued = false;

  constructor(submit: (link: EngineLink) => void) {
    this.#submit = submit;
  }

  send(bytes: Uint8Array): void {
    this.#outgoing.push(bytes);
  }

  flush(): void {
    if (this.#outgoing.length === 0 || this.#queued) return;
    this.#queued = true;
    this.#submit(this);
  }

  take(): Uint8Array {
    const bytes = this.#outgoing.length === 1 ? this.#outgoing[0]! : Buffer.concat(this.#outgoing);
    this.#outgoing = [];
    this.#queued = false;
    return bytes;
  }

  push(data: Uint8Array): void {
    this.#reader.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }

  async close(): Promise<void> {}
}
