/**
 * The kinds of cases, and which number is of which kind.
 *
 * Owns: the order of the kinds. Does not own: what a case of a kind is (`kinds/`).
 * Invariant: a seed and a number give the same case, whatever else is run.
 */
import { Random } from "../../src/trace/storm/random.ts";
import { cancelRequests, endlessStatements } from "./kinds/cancels.ts";
import { cutAtEveryByte, hangUp } from "./kinds/cuts.ts";
import { neverFinishes, neverReads } from "./kinds/silence.ts";
import { damagedConversation, interleavedConversations, oddLogin, rightConversation } from "./kinds/talking.ts";
import type { Play } from "./play.ts";

const makers = {
  right: rightConversation,
  damaged: damagedConversation,
  interleaved: interleavedConversations,
  login: oddLogin,
  cut: cutAtEveryByte,
  "hang-up": hangUp,
  "never-reads": neverReads,
  "never-finishes": neverFinishes,
  cancel: cancelRequests,
  endless: endlessStatements,
} as const satisfies Record<string, (random: Random) => Play[]>;

/** The name of a kind. */
export type Kind = keyof typeof makers;

/** All kinds. */
export const kinds = Object.keys(makers) as readonly Kind[];

/** One round of numbers; the kinds that find most come most often. */
const round: readonly Kind[] = [
  ...(["damaged", "interleaved", "hang-up", "damaged", "login", "never-finishes", "interleaved", "damaged"] as const),
  ...(["right", "cut", "damaged", "interleaved", "never-reads", "hang-up", "damaged", "cancel"] as const),
  ...(["interleaved", "login", "endless", "right"] as const),
];

/** The kind of the case with a number. */
export function kindOf(number: number): Kind {
  return round[number % round.length]!;
}

/** The plays of a case. */
export function playsOf(seed: number, number: number): Play[] {
  return makers[kindOf(number)](new Random(seed, number));
}
