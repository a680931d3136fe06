import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AnswerChecker } from "../../../scripts/flow/answer-checker.ts";
import { readFlowOptions } from "../../../scripts/flow/options.ts";
import { describePlay, plays, type Request } from "../../../scripts/flow/play.ts";
import { exchangeOf, sync } from "../../../scripts/flow/requests.ts";
import { encodeMessage } from "../../../src/wire/frontend.ts";

const letter = "k".charCodeAt(0);
const request = (given: Partial<Request>): Request => ({
  ...({ ask: "rows", isExtended: false, bytes: 5, piece: 2, end: "sync", isAwaited: false } as const),
  ...given,
});
const row = (text: string) => encodeMessage("D", Buffer.from([0, 1, 0, 0, 0, text.length]), Buffer.from(text));
const ready = encodeMessage("Z", Buffer.from("I"));
const error = (code: string) => encodeMessage("E", "SERROR", "VERROR", `C${code}`, "Mfailed", Buffer.alloc(1));
const whole = [encodeMessage("T"), row("kk"), row("kk"), row("k"), encodeMessage("C", "SELECT 3"), ready];

function checked(...parts: Buffer[]): AnswerChecker {
  const checker = new AnswerChecker();
  checker.owe(exchangeOf(request({}), letter).expected);
  for (const part of parts) checker.feed(part);
  return checker;
}

test("a seed gives the same plays every time, large ones among them as often as is said", () => {
  const some = (seed: number, large: number) => fc.sample(plays(large), { seed, numRuns: 300 });
  const stories = (seed: number) => some(seed, 4).flatMap(describePlay).join("\n");
  expect(stories(3)).toBe(stories(3));
  expect(stories(3)).not.toBe(stories(4));
  const isLarge = ({ parts }: ReturnType<typeof some>[number]) =>
    parts.some(({ requests }) => requests.some(({ bytes }) => bytes > 500_000));
  expect(some(5, 0).filter(isLarge)).toEqual([]);
  expect(some(5, 500).filter(isLarge).length).toBeGreaterThan(50);
});

describe("an answer", () => {
  test("that is right is accepted, cut anywhere", () => {
    const bytes = Buffer.concat(whole);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const checker = checked(bytes.subarray(0, cut), bytes.subarray(cut));
      expect([checker.problem, checker.isDone]).toEqual([undefined, true]);
    }
  });

  test.each([
    ["a byte of somebody else", [whole[0]!, row("kx")], "has other bytes in it"],
    ["a row that is too long", [whole[0]!, row("kkk")], "a row of 3 bytes"],
    ["a row too many", [...whole.slice(0, 4), row("k")], "an unexpected D"],
    ["a row too few", [...whole.slice(0, 3), whole[4]!], "an unexpected C"],
    ["another tag", [...whole.slice(0, 4), encodeMessage("C", "SELECT 4")], "instead of SELECT 3"],
    ["an error", [error("57014")], "57014 failed"],
    ["an open transaction", [...whole.slice(0, 5), encodeMessage("Z", Buffer.from("T"))], "ReadyForQuery says T"],
    ["one more ReadyForQuery", [...whole, ready], "an unexpected Z"],
  ])("with %s is not", (_, messages, problem) => {
    expect(checked(...messages).problem).toContain(problem);
  });

  test("that ends in a cancel is accepted once for each cancel", () => {
    const checker = new AnswerChecker();
    checker.cancels = 1;
    for (let times = 0; times < 2; times++) checker.owe(exchangeOf(request({}), letter).expected);
    checker.feed(Buffer.concat([error("57014"), ready]));
    expect([checker.problem, checker.cancelled]).toEqual([undefined, 1]);
    checker.feed(error("57014"));
    expect(checker.problem).toContain("57014");
  });

  test("of a failed pipeline is over with its Sync, and what comes behind that counts again", () => {
    const checker = new AnswerChecker();
    const extended = request({ isExtended: true, ask: "fail" });
    checker.owe(exchangeOf(extended, letter).expected);
    checker.feed(Buffer.concat([encodeMessage("1"), error("22012")]));
    expect(checker.isDone).toBe(true);
    checker.owe([
      ...exchangeOf(extended, letter).expected,
      ...sync.expected,
      ...exchangeOf(request({}), letter).expected,
    ]);
    checker.feed(Buffer.concat([ready, ...whole]));
    expect([checker.problem, checker.isDone]).toEqual([undefined, true]);
  });
});

test.each([
  [["--seed", "many"], '--seed "many"'],
  [["--plays", "0"], '--plays "0"'],
  [["--program", "/no/such/file"], "there is no such file"],
])("%j is refused with a sentence that names it", (argv, part) => {
  expect(() => readFlowOptions(argv)).toThrow(part);
});
