/**
 * Talk in large messages and large results.
 *
 * Owns: their sizes. Does not own: how they are read; a client that does not read is in `../kinds/silence.ts`.
 */
import type { Random } from "../../../src/trace/storm/random.ts";
import { encodeMessage, encodeParse, encodeQuery } from "../../../src/wire/frontend.ts";
import { bigFrame, frame, query, type Step, step } from "../frame.ts";

/** One large message or result. */
export function bigTalk(random: Random): Step[] {
  const size = random.pick([70_000, 300_000, 1_500_000]);
  const filler = "x".repeat(size);
  switch (random.below(6)) {
    case 0:
      return [step("Z", bigFrame("Query of a long string", encodeQuery(`select length('${filler}')`)))];
    case 1:
      return [step("Z", query(`select repeat('x', ${size})`))];
    case 2:
      return [step("Z", query(`select n, 'row ' || n from generate_series(1, ${Math.floor(size / 60)}) n`))];
    case 3: {
      const parse = bigFrame('Parse "s1" of a long comment', encodeParse("s1", `select 1 /* ${filler} */`));
      return [step("Z", parse, frame('Bind "" "s1"'), frame('Execute "" 0'), frame("Sync"))];
    }
    case 4: {
      const many = Array.from({ length: 500 }, () => query("select 1"));
      return [step(many.map(() => "Z").join(" "), ...many)];
    }
    default:
      return [step("Z", bigFrame("a message of an unknown type", encodeMessage("y", filler)))];
  }
}
