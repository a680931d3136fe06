/**
 * Damage to a conversation.
 *
 * Owns: the ways in which frames are changed, lost, doubled and mixed up. Does not own: where a client hangs up.
 * Invariant: the result says in each frame's line what was done to it; the given conversation is not changed.
 */
import type { Random } from "../../src/trace/storm/random.ts";
import { encodeMessage } from "../../src/wire/frontend.ts";
import { type Frame, frame, type Step, step } from "./frame.ts";

/** The conversation with one to four changes, mostly behind the login. */
export function mutate(random: Random, steps: readonly Step[], others: readonly Step[]): Step[] {
  let result = [...steps];
  for (let left = 1 + random.below(4); left > 0; left--) result = change(random, result, others);
  return result;
}

function change(random: Random, steps: readonly Step[], others: readonly Step[]): Step[] {
  const first = random.oneIn(8) ? 0 : 1;
  const at = Math.min(steps.length - 1, first + random.below(steps.length));
  const frames = [...steps[at]!.frames];
  const index = random.below(frames.length);
  const chosen = frames[index];
  const put = (...instead: Frame[]): Step[] => {
    frames.splice(index, 1, ...instead);
    return steps.toSpliced(at, 1, { answer: steps[at]!.answer, frames });
  };
  if (chosen === undefined) return [...steps];
  switch (random.below(11)) {
    case 0:
    case 1:
      return put(flipped(random, chosen));
    case 2:
    case 3:
      return put(resized(random, chosen));
    case 4:
      return put(retyped(random, chosen));
    case 5:
      return put(cutShort(random, chosen));
    case 6:
      return put(chosen, { line: `${chosen.line} [again]`, bytes: chosen.bytes });
    case 7:
      return put();
    case 8:
      return put(garbage(random), chosen);
    case 9:
      return put(random.pick(random.pick(others).frames) ?? chosen, chosen);
    default:
      return swapped(random, steps);
  }
}

function flipped(random: Random, { line, bytes }: Frame): Frame {
  const changed = Buffer.from(bytes);
  const flips = Array.from({ length: 1 + random.below(3) }, () => random.below(Math.max(1, bytes.length * 8)));
  for (const bit of flips) if (bit >> 3 < changed.length) changed[bit >> 3]! ^= 1 << (bit & 7);
  return { line: `${line} [bits ${flips.join(", ")} flipped]`, bytes: changed };
}

function resized(random: Random, { line, bytes }: Frame): Frame {
  const at = isUntyped(line) ? 0 : 1;
  if (bytes.length < at + 4) return { line, bytes };
  const length = bytes.readInt32BE(at);
  const other = random.pick([
    length - 1,
    length + 1,
    length + 5,
    length * 2,
    0,
    3,
    4,
    -1,
    2 ** 31 - 1,
    2 ** 30,
    70_000,
  ]);
  const changed = Buffer.from(bytes);
  changed.writeInt32BE(other | 0, at);
  return { line: `${line} [length ${other} instead of ${length}]`, bytes: changed };
}

function retyped(random: Random, { line, bytes }: Frame): Frame {
  const changed = Buffer.from(bytes);
  const type = random.oneIn(2) ? random.below(256) : random.pick([..."QPBEDCHSXFdcfp"]).charCodeAt(0);
  if (changed.length > 0) changed[0] = type;
  return { line: `${line} [first byte ${type}]`, bytes: changed };
}

function cutShort(random: Random, { line, bytes }: Frame): Frame {
  const left = random.below(Math.max(1, bytes.length));
  return { line: `${line} [only ${left} of ${bytes.length} bytes]`, bytes: bytes.subarray(0, left) };
}

function garbage(random: Random): Frame {
  const bytes = Buffer.from(Array.from({ length: random.below(24) }, () => random.below(256)));
  switch (random.below(4)) {
    case 0:
      return { line: `Bytes hex ${bytes.toString("hex")}`, bytes };
    case 1:
      return frame("SSLRequest");
    case 2:
      return frame('StartupMessage 3.0 "user=postgres"');
    default: {
      const type = random.pick([..."QPBEDCHSFdcfp"]);
      return { line: `${type} with the body hex ${bytes.toString("hex")}`, bytes: encodeMessage(type, bytes) };
    }
  }
}

function swapped(random: Random, steps: readonly Step[]): Step[] {
  if (steps.length < 3) return [...steps];
  const at = 1 + random.below(steps.length - 1);
  if (random.oneIn(2)) {
    const frames = [...steps[at]!.frames].reverse();
    return steps.toSpliced(at, 1, { answer: steps[at]!.answer, frames });
  }
  const other = 1 + random.below(steps.length - 1);
  const [lower, upper] = [Math.min(at, other), Math.max(at, other)];
  const all = steps.slice(lower, upper + 1);
  return [
    ...steps.slice(0, lower),
    step(all.at(-1)!.answer, ...all.flatMap(({ frames }) => frames).reverse()),
    ...steps.slice(upper + 1),
  ];
}

function isUntyped(line: string): boolean {
  return /^(StartupMessage|SSLRequest|GSSENCRequest|CancelRequest)/.test(line);
}
