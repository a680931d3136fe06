/**
 * Conversations over one session of the model, as the shared queue runs them.
 *
 * Owns: running batches and the answers that each client gets. Does not own: whose turn it is (the test decides).
 * Invariant: the engine's answer reaches a conversation in pieces of any size, never as a whole on purpose.
 */

import { ReplyReader } from "../../src/wire/reply-reader.ts";
import { Conversation } from "../../src/work/conversation.ts";
import { SharedSession } from "../../src/work/statements.ts";
import { ModelBackend } from "./model-backend.ts";
import type { Random } from "./random.ts";
import { FrameReader } from "./socket-library.ts";

const wholeMessages = 1 << 20;

/** One client of a shared session. */
export interface ModelClient {
  readonly conversation: Conversation;
  /** Sends messages as one batch and returns the answer. */
  send(messages: readonly Uint8Array[]): Buffer;
  /** Has the messages answered without the engine, if that is allowed; undefined if not. */
  defer(messages: readonly Uint8Array[]): Buffer | undefined;
}

/** A session that any number of clients share. */
export class SharedModel {
  readonly backend: ModelBackend;
  readonly #session = new SharedSession();
  readonly #random: Random;
  #output: Buffer[] = [];

  constructor(random: Random) {
    this.#random = random;
    this.backend = new ModelBackend((answer) => this.#output.push(answer));
  }

  /** A new client. */
  client(): ModelClient {
    const conversation = new Conversation(this.#session);
    const frames = (messages: readonly Uint8Array[]) => {
      const { batch } = new FrameReader(wholeMessages).read(Buffer.concat(messages));
      if (!batch) throw new Error("no messages");
      return batch;
    };
    return {
      conversation,
      send: (messages) => {
        const batch = frames(messages);
        const answer: Buffer[] = [];
        for (let next = 0; next < batch.frames.length; ) {
          const plan = conversation.plan(batch.frames, batch.bytes, next, 1 + this.#random.below(5));
          if (plan.next <= next) throw new Error(`no progress at frame ${next}`);
          next = plan.next;
          this.#run(conversation, plan.bytes, answer);
        }
        return Buffer.concat(answer);
      },
      defer: (messages) => {
        const batch = frames(messages);
        return conversation.canDefer(batch.frames) ? Buffer.from(conversation.defer(batch.frames)) : undefined;
      },
    };
  }

  #run(conversation: Conversation, bytes: Uint8Array, answer: Buffer[]): void {
    const reader = new ReplyReader(conversation.replies, (part) => answer.push(Buffer.from(part)));
    this.backend.run(bytes);
    const output = Buffer.concat(this.#output.splice(0));
    const longest = this.#random.of([1, 7, 100, 10_000]);
    for (const piece of this.#random.pieces(output, longest)) reader.feed(piece);
  }
}
