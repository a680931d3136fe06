/**
 * Cases of clients that hang up after any byte, and in any state of the protocol.
 *
 * Owns: where they hang up. Does not own: what they say before.
 * Invariant: a case of `cutAtEveryByte` has one play for each byte and each of FIN and RST; one of `hangUp` has one
 * play for each way to leave.
 */
import type { Random } from "../../../src/trace/storm/random.ts";
import { lengthOf, shortConversation } from "../conversation.ts";
import type { Frame, Step } from "../frame.ts";
import { type Action, departures, type Ending, follow, type Play } from "../play.ts";
import { protocolStates } from "../talk/states.ts";

const most = 160;

/** One short conversation, given up after each of its bytes; the client waits for the answers, or for none. */
export function cutAtEveryByte(random: Random): Play[] {
  const steps = shortConversation(random, most);
  const waits = random.oneIn(2);
  const first = random.oneIn(4) ? 0 : lengthOf(steps.slice(0, 1));
  const plays: Play[] = [];
  for (let at = first; at <= lengthOf(steps); at++) {
    for (const how of ["fin", "rst"] as const) {
      const title = `cut after byte ${at} (${how}), ${waits ? "waiting for answers" : "waiting for nothing"}`;
      plays.push({ title, actions: [...follow(0, cutAt(steps, at, waits)), { do: "leave", client: 0, how }] });
    }
  }
  return plays;
}

function cutAt(steps: readonly Step[], at: number, waits: boolean): Step[] {
  const kept: Step[] = [];
  let left = at;
  for (const { frames, answer } of steps) {
    const part: Frame[] = [];
    for (const { line, bytes } of frames) {
      if (left <= 0) break;
      const note = bytes.length > left ? ` [only ${left} of ${bytes.length} bytes]` : "";
      part.push({ line: line + note, bytes: bytes.subarray(0, left) });
      left -= bytes.length;
    }
    if (part.length > 0) kept.push({ frames: part, answer: left >= 0 && waits ? answer : "" });
  }
  return kept;
}

/** One state of the protocol, left in every way. */
export function hangUp(random: Random): Play[] {
  const { name, steps, partner } = random.pick(protocolStates);
  const cancel: Action[] = random.oneIn(4) ? [{ do: "cancel", client: 0, key: random.pick(["right", "wrong"]) }] : [];
  const wait: Action = { do: "wait", client: 0, ms: random.pick([0, 0, 3, 30]) };
  return [...departures, "stay" as Ending].map((how) => ({
    title: `hang-up in the state: ${name}`,
    actions: [
      ...(partner ? follow(1, partner) : []),
      ...follow(0, steps),
      ...cancel,
      wait,
      { do: "leave", client: 0, how } as const,
      ...(partner ? [{ do: "leave", client: 1, how: "rst" } as const] : []),
    ],
  }));
}
