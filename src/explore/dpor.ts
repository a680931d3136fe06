/**
 * One schedule of each class of those that come to the same: dynamic partial order reduction with sleep sets (Flanagan and Godefroid 2005).
 *
 * Owns: which schedules are still to be tried. Does not own: what depends on what (`effects.ts`).
 * How: two neighbours that do not depend on each other need not change places. Behind each schedule, for every two steps of it that do and that nothing
 * else keeps in their order, the other order is noted where the first of them was decided. What has been tried there sleeps until something
 * wakes it on which it depends.
 * Invariant: an actor that could do several things at once has all of them tried.
 */
import { type Choice, keyOf, type Strategy, wordOf } from "./choices.ts";
import { areDependent, type Effect } from "./effects.ts";

/** A place where somebody was chosen. */
interface Place {
  readonly keys: readonly string[];
  readonly words: readonly string[];
  /** By word. */
  readonly actors: ReadonlyMap<string, string>;
  /** To be tried here. */
  readonly wanted: Set<string>;
  /** What they have done who were tried here. */
  readonly tried: Map<string, Effect>;
  /** Whose trying here would be in vain, with what they have done. */
  readonly sleeping: ReadonlyMap<string, Effect>;
  pick: string;
}

/** See the head of the file. */
export function reduced(): Strategy {
  const path: Place[] = [];
  let prefix = 0;
  /** Of the schedule that runs; it grows. */
  let steps: readonly Effect[] = [];
  /** From there on the schedule is like one that was tried. */
  let redundantFrom: number | undefined;

  function enter(choices: readonly Choice[], depth: number): number {
    const words = choices.map(wordOf);
    const actors = new Map(choices.map((choice, at) => [words[at]!, choice.actor]));
    const sleeping = asleep(path[depth - 1], steps[depth - 1]);
    const awake = words.filter((word) => !sleeping.has(word));
    const pick = awake[0];
    if (pick === undefined) {
      redundantFrom = depth;
      return 0;
    }
    const wanted = new Set(awake.filter((word) => actors.get(word) === actors.get(pick)));
    path.push({ keys: choices.map(keyOf), words, actors, wanted, tried: new Map(), sleeping, pick });
    return words.indexOf(pick);
  }

  return {
    choose(choices, depth, effects) {
      if (depth === 0) redundantFrom = undefined;
      steps = effects;
      if (redundantFrom !== undefined && depth >= redundantFrom) return 0;
      if (depth >= prefix) {
        path.length = depth;
        return enter(choices, depth);
      }
      const place = path[depth]!;
      if (place.keys.join("\n") !== choices.map(keyOf).join("\n")) return undefined;
      return place.words.indexOf(place.pick);
    },
    mayEnd: (depth) => depth >= prefix,
    next() {
      path.forEach((place, at) => {
        const effect = steps[at];
        if (effect) place.tried.set(place.pick, effect);
      });
      noteRaces(path, steps);
      while (path.length > 0) {
        const place = path.at(-1)!;
        const next = [...place.wanted].find((word) => !place.tried.has(word) && !place.sleeping.has(word));
        if (next !== undefined) {
          place.pick = next;
          break;
        }
        path.pop();
      }
      prefix = path.length;
      return prefix > 0;
    },
  };
}

/** What sleeps behind a step. */
function asleep(before: Place | undefined, step: Effect | undefined): Map<string, Effect> {
  const found = new Map<string, Effect>();
  if (!before || !step) return found;
  for (const [word, effect] of [...before.sleeping, ...before.tried])
    if (word !== before.pick && !areDependent(effect, step)) found.set(word, effect);
  return found;
}

/** Where two steps of a schedule depend on each other, and nothing between them orders them, the other order is wanted. */
function noteRaces(path: readonly Place[], steps: readonly Effect[]): void {
  const before: Set<number>[] = [];
  path.forEach((_, at) => {
    const step = steps[at];
    if (!step) return;
    const ordered = new Set<number>();
    const follow = (earlier: number): void => {
      ordered.add(earlier);
      for (const each of before[earlier] ?? []) ordered.add(each);
    };
    const own = steps.slice(0, at).findLastIndex(({ actor }) => actor === step.actor);
    if (own >= 0) follow(own);
    const wokenAt = steps[own]?.wokenAt;
    if (wokenAt !== undefined) follow(wokenAt);
    for (let earlier = at - 1; earlier >= 0; earlier--) {
      const other = steps[earlier]!;
      if (ordered.has(earlier) || !areDependent(other, step)) continue;
      if (other.actor !== step.actor) want(path[earlier]!, step.actor);
      follow(earlier);
    }
    before[at] = ordered;
  });
}

/** An actor that cannot go on there may be able to when somebody else has: all are wanted. */
function want({ words, actors, wanted }: Place, actor: string): void {
  const own = words.filter((word) => actors.get(word) === actor);
  for (const word of own.length > 0 ? own : words) wanted.add(word);
}
