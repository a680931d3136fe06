/**
 * Messages on their way to the engine, and what comes back.
 *
 * Owns: one run for a client, one for this side; that nothing reaches the engine when the queue is closed. Does not own: who
 * runs next (`shared-queue.ts`), what is sent and owed (`work/`).
 * Invariant: what was begun while the queue was open does not run in a later opening.
 */
import type { EngineDeath, EngineInput, ExecOptions, IdleTimeouts } from "../../engine/engine.ts";
import { readInt32 } from "../../wire/frames.ts";
import { ReplyReader } from "../../wire/reply-reader.ts";
import { Output } from "../output.ts";
import { shutdown, transactionTimeout } from "../session-errors.ts";
import type { Entry, Member } from "./members.ts";

/** The session that all clients share. The names are PGlite's. */
export interface SharedEngine {
  /** Nobody gets into the middle of `fn`. */
  runExclusive<T>(fn: () => Promise<T>): Promise<T>;
  execProtocolRawStream(messages: EngineInput, options: ExecOptions): Promise<void>;
  /** The timeouts that PostgreSQL has set at the end of the last run. */
  idleTimeouts?(): IdleTimeouts;
  /** Calls `listener` when the engine has died and a new one takes its place; returns how to stop that. */
  onDeath?(listener: (death: EngineDeath) => void): () => void;
}

/** See the head of the file. */
export class EngineRuns {
  readonly #engine: SharedEngine;
  #isOpen = false;
  /** Counts the openings. */
  #epoch = 0;

  constructor(engine: SharedEngine) {
    this.#engine = engine;
  }

  /** From now on messages are run. */
  open(): void {
    this.#isOpen = true;
    this.#epoch++;
  }

  /** From now on the engine is not touched. */
  close(): void {
    this.#isOpen = false;
  }

  /** Runs a client's messages; it gets what is answered, as far as it is to. */
  async execute(member: Member, bytes: Uint8Array, entry?: Entry): Promise<void> {
    const { connection, application, preview: statement } = member;
    const isCancelled = entry?.cancelled ?? false;
    if (entry) entry.cancelled = false;
    await this.answer(member, (reader, flush) =>
      this.#run(bytes, {
        onRawData: (data) => reader.feed(data),
        onPause: flush,
        onTransactionTimeout: () => {
          flush();
          connection.terminate(transactionTimeout);
        },
        // Who has said Terminate is told nothing of it.
        onStop: () => {
          if (!connection.saidGoodbye) return;
          flush();
          connection.terminate(shutdown);
        },
        isCancelled,
        whose: { processId: connection.processId, application, statement },
      }),
    );
    // PGlite swallows a WebAssembly trap and answers nothing any more: better an error than a client that waits for ever.
    if (member.conversation.replies.isOwedReady && this.#isOpen)
      throw new Error("the engine did not finish its answer");
  }

  /** Whatever `run` feeds to the reader is an answer to the client. */
  async answer(
    { delivery, conversation }: Member,
    run: (reader: ReplyReader, flush: () => void) => Promise<void> | void,
  ): Promise<void> {
    const output = new Output(delivery);
    const reader = new ReplyReader(conversation.replies, (data) => output.write(data));
    await run(reader, () => output.flush());
    output.flush();
  }

  /** Runs messages of this side's own and hands each answer to `visit`; nothing reaches a client. */
  async exchange(bytes: Uint8Array, visit: (type: number, message: Uint8Array) => void): Promise<void> {
    const chunks: Uint8Array[] = [];
    await this.#run(bytes, { onRawData: (data) => void chunks.push(Buffer.from(data)) });
    const answer = Buffer.concat(chunks);
    for (let at = 0; at < answer.length; at += readInt32(answer, at + 1) + 1) {
      visit(answer[at]!, answer.subarray(at));
    }
  }

  #run(bytes: Uint8Array, options: ExecOptions): Promise<void> {
    const epoch = this.#epoch;
    return this.#engine.runExclusive(async () => {
      // Somebody else may have had the engine for long: whoever closed the queue was told that it is not touched now.
      if (!this.#isOpen || this.#epoch !== epoch) return;
      await this.#engine.execProtocolRawStream(bytes, options);
    });
  }
}
