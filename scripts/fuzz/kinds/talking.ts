/**
 * Cases of clients that talk: right, damaged, and several at once.
 *
 * Owns: how many clients and what they say. Does not own: the conversations, or the damage.
 */
import type { Random } from "../../../src/trace/storm/random.ts";
import { conversation } from "../conversation.ts";
import { frame, lastQuestion, type Step, step } from "../frame.ts";
import { mutate } from "../mutate.ts";
import { type Action, departures, type Ending, follow, interleave, type Play, randomCut } from "../play.ts";
import { oddLoginTalk } from "../talk/login.ts";

/** One client that makes no mistake; its bytes arrive in random pieces. It must still be served at the end. */
export function rightConversation(random: Random): Play[] {
  const steps = [...conversation(random), lastQuestion];
  const actions = follow(0, steps, randomCut(random));
  return [{ title: "a right conversation", actions: [...actions, leave(random, 0)] }];
}

/** One client whose messages are damaged. */
export function damagedConversation(random: Random): Play[] {
  const actions = follow(0, damaged(random, conversation(random)), randomCut(random));
  return [{ title: "a damaged conversation", actions: [...actions, leave(random, 0)] }];
}

/** A beginning that is refused or odd, and then perhaps a damaged one as well. */
export function oddLogin(random: Random): Play[] {
  const odd = oddLoginTalk(random);
  const steps = random.oneIn(3) ? damaged(random, odd) : odd;
  const actions = follow(0, steps, random.oneIn(2) ? randomCut(random) : undefined);
  return [{ title: "an odd login", actions: [...actions, leave(random, 0)] }];
}

/** Two to four clients whose segments come in any order; some are damaged, some are cancelled, one may stay. */
export function interleavedConversations(random: Random): Play[] {
  const count = 2 + random.below(3);
  const parts = Array.from({ length: count }, (_, client) => {
    const steps = conversation(random, 3);
    const actions = follow(client, random.oneIn(3) ? damaged(random, steps) : steps, randomCut(random));
    if (random.oneIn(4)) actions.splice(2 + random.below(actions.length - 2), 0, cancel(random, client));
    // Leaving is an action like the others: a client may be gone while the others are in the middle.
    const kept = random.oneIn(4) ? actions.slice(0, 2 + random.below(actions.length)) : actions;
    return [...kept, client === 0 && random.oneIn(4) ? stay(client) : leave(random, client)];
  });
  return [{ title: `${count} interleaved conversations`, actions: interleave(random, parts) }];
}

function damaged(random: Random, steps: readonly Step[]): Step[] {
  const end = random.oneIn(2) ? [step("", frame("Terminate"))] : [];
  return mutate(random, [...steps, ...end], conversation(random, 1));
}

function cancel(random: Random, client: number): Action {
  return { do: "cancel", client, key: random.pick(["right", "wrong", "short"]) };
}

function leave(random: Random, client: number): Action {
  return { do: "leave", client, how: random.pick<Ending>(departures) };
}

function stay(client: number): Action {
  return { do: "leave", client, how: "stay" };
}
