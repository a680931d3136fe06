/**
 * How the bytes of an exchange are cut on their way to the server.
 *
 * Owns: the pauses in which a client waits for replies, and the cutting into segments. Does not own: sending them.
 * Invariant: the segments are the exchange's bytes, apart from added Flush messages, which have no reply; a pause comes
 * only where the server has to have answered everything before it.
 */
import { encodeFlush } from "../../wire/frontend.ts";
import { type Exchange, endsPipeline, type Message, type Reply } from "./exchange.ts";
import type { Random } from "./random.ts";

/**
 * `whole`: all that goes together in one write; `flush`: pauses with Flush inside of the pipelines; `random`: cut at
 * random bytes; `bytes`: one byte at a time.
 */
export const splits = ["whole", "flush", "random", "bytes"] as const;

/** One of `splits`. */
export type Split = (typeof splits)[number];

/** What is sent before the client waits for replies. */
export interface Step {
  /** Each is a write of its own. */
  readonly segments: readonly Buffer[];
  /** They have to come before the next step. */
  readonly replies: readonly Reply[];
  /** Whether its last message is answered with ReadyForQuery. */
  readonly endsPipeline: boolean;
}

const mostRandomPieces = 6;

/** Cuts an exchange into steps of segments. */
export function splitExchange({ messages }: Exchange, split: Split, random: Random): Step[] {
  const pausesAt = split === "flush" ? flushPauses(messages, random) : new Set<number>();
  const steps: Step[] = [];
  let bytes: Buffer[] = [];
  let replies: Reply[] = [];
  messages.forEach((message, index) => {
    bytes.push(message.bytes);
    replies.push(...message.replies);
    if (pausesAt.has(index)) bytes.push(encodeFlush());
    if (!message.waits && !endsPipeline(message) && !pausesAt.has(index)) return;
    steps.push({ segments: cut(Buffer.concat(bytes), split, random), replies, endsPipeline: endsPipeline(message) });
    bytes = [];
    replies = [];
  });
  return steps;
}

/** After about every second message of a pipeline, and in every pipeline at least once if it has several messages. */
function flushPauses(messages: readonly Message[], random: Random): Set<number> {
  const pauses = new Set<number>();
  let first = 0;
  messages.forEach((message, index) => {
    if (!endsPipeline(message)) {
      if (message.replies.length > 0 && random.oneIn(2)) pauses.add(index);
      return;
    }
    const inPipeline = index - first;
    const hasPause = Array.from({ length: inPipeline }, (_, offset) => first + offset).some((at) => pauses.has(at));
    if (inPipeline > 0 && !hasPause && messages[first]!.replies.length > 0) pauses.add(first);
    first = index + 1;
  });
  return pauses;
}

function cut(bytes: Buffer, split: Split, random: Random): Buffer[] {
  if (split === "bytes") return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
  if (split !== "random") return [bytes];
  const count = 1 + random.below(mostRandomPieces - 1);
  const cuts = new Set(Array.from({ length: count }, () => 1 + random.below(bytes.length - 1)));
  const ends = [...cuts, bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}
