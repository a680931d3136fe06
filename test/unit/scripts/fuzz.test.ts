import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { kindOf, kinds, playsOf } from "../../../scripts/fuzz/kinds.ts";
import { readFuzzOptions } from "../../../scripts/fuzz/options.ts";
import { departures, describePlay, type Play } from "../../../scripts/fuzz/play.ts";

const numberOf = (kind: string, from = 0): number => {
  let number = from;
  while (kindOf(number) !== kind) number++;
  return number;
};
const sentBytes = ({ actions }: Play): Buffer =>
  Buffer.concat(actions.flatMap((action) => (action.do === "send" ? action.segments : [])));
// A comparison of the plays themselves takes long: some have messages of a megabyte.
const digest = (plays: readonly Play[]): string =>
  createHash("sha256")
    .update(plays.flatMap(describePlay).join("\n"))
    .update(Buffer.concat(plays.map(sentBytes)))
    .digest("hex");

test("a seed and a number give the same case every time, and another seed another one", () => {
  for (let number = 0; number < 20; number++) {
    expect(digest(playsOf(7, number))).toBe(digest(playsOf(7, number)));
  }
  const story = (seed: number): string => playsOf(seed, 0).flatMap(describePlay).join("\n");
  expect(story(1)).not.toBe(story(2));
});

test("every kind has its turn", () => {
  const seen = new Set(Array.from({ length: 100 }, (_, number) => kindOf(number)));
  expect([...seen].sort()).toEqual([...kinds].sort());
});

test("a cut case hangs up once after each byte with FIN and once with RST", () => {
  const plays = playsOf(3, numberOf("cut"));
  for (const how of ["fin", "rst"]) {
    const lengths = plays
      .filter(({ actions }) => actions.some((action) => action.do === "leave" && action.how === how))
      .map((play) => sentBytes(play).length);
    const first = lengths[0]!;
    expect(lengths).toEqual(Array.from({ length: lengths.length }, (_, index) => first + index));
    expect(lengths.length).toBeGreaterThan(10);
  }
});

test("a hang-up case leaves the same state in every way", () => {
  const plays = playsOf(3, numberOf("hang-up"));
  const ways = plays.map(({ actions }) => actions.findLast((action) => action.do === "leave" && action.client === 0));
  expect(ways.map((action) => action?.do === "leave" && action.how)).toEqual([...departures, "stay"]);
  expect(new Set(plays.map((play) => sentBytes(play).toString("hex"))).size).toBe(1);
});

test("a damaged conversation says in its lines what was done to it", () => {
  const stories = Array.from({ length: 200 }, (_, number) => number)
    .filter((number) => kindOf(number) === "damaged")
    .map((number) => playsOf(5, number).flatMap(describePlay).join("\n"));
  expect(stories.some((story) => /bits [\d, ]+ flipped/.test(story))).toBe(true);
  expect(stories.some((story) => /length -?\d+ instead of \d+/.test(story))).toBe(true);
  expect(stories.some((story) => /only \d+ of \d+ bytes/.test(story))).toBe(true);
});

test("a case of a report is what the command line plays", () => {
  const options = readFuzzOptions(["--seed", "9", "--case", "17.4"]);
  expect(options).toMatchObject({ seed: 9, from: 17, play: 4, cases: 1, minutes: undefined });
});

test.each([
  [["--seed", "many"], '--seed "many"'],
  [["--minutes=-1"], '--minutes "-1"'],
  [["--case", "1.2.3"], '--case "1.2.3"'],
  [["--only", "cut,nothing"], '--only "cut,nothing": "nothing"'],
  [["--target", "theirs"], '--target "theirs"'],
  [["--colour"], "--colour"],
])("%j is refused with a sentence that names it", (argv, part) => {
  expect(() => readFuzzOptions(argv)).toThrow(part);
});
