/**
 * Which of those that could go on does: the strategies.
 *
 * Owns: what has been tried. Does not own: running it (`schedule-run.ts`).
 * Invariant: the same question is answered the same: it may be asked again before the answer is acted upon.
 */
import { Random } from "../trace/storm/random.ts";
import type { Effect } from "./effects.ts";

/** Something that could go on now. */
export interface Choice {
  readonly actor: string;
  /** Of those of its actor that wait; 0 but for one that does several things at once. */
  readonly nth: number;
  readonly connection: number;
  readonly sql: string;
}

/** See the head of the file. */
export interface Strategy {
  /**
   * The index of the one that goes on; undefined where the schedule is not the one that it was to be. `effects`: what the steps have
   * done; it grows with them.
   */
  choose(choices: readonly Choice[], depth: number, effects: readonly Effect[]): number | undefined;
  /** Whether a schedule of so many decisions is not shorter than the one that it was to be. */
  mayEnd(depth: number): boolean;
  /** Goes to the next schedule; false if there is none. */
  next(): boolean;
}

/** Every actor in its turn: what all of them need is opened. */
export function roundRobin(): Strategy {
  const turns = new Map<string, number>();
  return {
    choose(choices, depth) {
      const lastTurn = ({ actor }: Choice): number => turns.get(actor) ?? -1;
      const best = choices.reduce((one, other) => (lastTurn(other) < lastTurn(one) ? other : one));
      turns.set(best.actor, depth);
      return choices.indexOf(best);
    },
    mayEnd: () => true,
    next: () => false,
  };
}

/** Depth first: all schedules, each once. */
export function exhaustive(): Strategy {
  const path: { readonly choices: readonly string[]; pick: number }[] = [];
  let prefix = 0;
  return {
    choose(choices, depth) {
      const keys = choices.map(keyOf);
      if (depth >= prefix) {
        path.length = depth;
        path.push({ choices: keys, pick: 0 });
        return 0;
      }
      const known = path[depth]!;
      return known.choices.join("\n") === keys.join("\n") ? known.pick : undefined;
    },
    mayEnd: (depth) => depth >= prefix,
    next() {
      while (path.length > 0 && path.at(-1)!.pick + 1 >= path.at(-1)!.choices.length) path.pop();
      prefix = path.length;
      if (prefix > 0) path.at(-1)!.pick++;
      return prefix > 0;
    },
  };
}

/** So many, each chosen by the seed and its number. */
export function random(count: number, seed: number): Strategy {
  let schedule = 0;
  return {
    choose: (choices, depth) => new Random(seed, schedule, depth).below(choices.length),
    mayEnd: () => true,
    next: () => ++schedule < count,
  };
}

/** The one that these words say. */
export function replay(decisions: string): Strategy {
  const words = decisions.split(" ");
  return {
    choose(choices, depth) {
      if (depth >= words.length) return undefined;
      const found = choices.findIndex((choice) => wordOf(choice) === words[depth]);
      return found < 0 ? undefined : found;
    },
    mayEnd: (depth) => depth >= words.length,
    next: () => false,
  };
}

/** A decision as a word. */
export function wordOf({ actor, nth }: Choice): string {
  const name = encodeURIComponent(actor);
  return nth === 0 ? name : `${name}/${nth}`;
}

/** What makes a choice the same as in another schedule; literals may differ. */
export function keyOf(choice: Choice): string {
  const sql = choice.sql.replaceAll(/'[^']*'|\b\d+\b/g, "?").replaceAll(/\s+/g, " ");
  return `${wordOf(choice)} ${sql}`;
}
