/**
 * Whole conversations of one client, from its first byte on.
 *
 * Owns: which talk follows a login. Does not own: the talk (`talk/`), or when the client leaves.
 * Invariant: a conversation depends on nothing but the random choices; every step is one that PostgreSQL answers.
 */
import type { Random } from "../../src/trace/storm/random.ts";
import type { Step } from "./frame.ts";
import { bigTalk } from "./talk/big.ts";
import { copyInExtendedTalk, copyInTalk, copyOutTalk } from "./talk/copy.ts";
import { pipelineTalk, portalTalk, preparedTalk } from "./talk/extended.ts";
import { loginTalk, plainLogin } from "./talk/login.ts";
import { sessionTalk, simpleTalk, transactionTalk } from "./talk/simple.ts";

const talks = [
  simpleTalk,
  sessionTalk,
  transactionTalk,
  preparedTalk,
  portalTalk,
  pipelineTalk,
  copyInTalk,
  copyInExtendedTalk,
  copyOutTalk,
] as const;

/** A conversation of up to `longest` talks. */
export function conversation(random: Random, longest = 4): Step[] {
  const steps = loginTalk(random);
  for (let left = 1 + random.below(longest); left > 0; left--) {
    steps.push(...(random.oneIn(25) ? bigTalk(random) : random.pick(talks)(random)));
  }
  return steps;
}

/** A conversation of at most `most` bytes behind the login, for what is done once for each byte. */
export function shortConversation(random: Random, most: number): Step[] {
  for (;;) {
    const steps = random.pick(talks)(random);
    if (lengthOf(steps) <= most) return [plainLogin, ...steps];
  }
}

/** How many bytes a client sends. */
export function lengthOf(steps: readonly Step[]): number {
  return steps.reduce((sum, { frames }) => sum + frames.reduce((total, { bytes }) => total + bytes.length, 0), 0);
}
