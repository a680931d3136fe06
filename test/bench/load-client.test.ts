/**
 * The benchmark's count of answers: whatever is not the expected answer must be seen, by kind.
 */
import { expect, test } from "vitest";
import type { Answer } from "../../scripts/bench/answer-reader.ts";
import type { Link } from "../../scripts/bench/link.ts";
import { LoadClient, type Strictness, type Tally } from "../../scripts/bench/load-client.ts";
import type { ClientLoad } from "../../scripts/bench/workloads.ts";

const right: Answer = { rows: 1, value: 7, error: undefined, status: "I" };
const load: ClientLoad = {
  prepare: [],
  cycle: () => [{ bytes: new Uint8Array(1), rows: 1, value: 7, status: "I" }],
};

class ScriptedLink implements Link {
  onAnswer: (answer: Answer) => void = () => {};
  onLost: (reason: string) => void = () => {};
  sent = 0;
  send(): void {
    this.sent++;
  }
  flush(): void {}
  async close(): Promise<void> {}
}

function start(
  inFlight: number,
  strictness: Strictness = "values",
): { link: ScriptedLink; tally: Tally; idle: number[] } {
  const link = new ScriptedLink();
  const tally: Tally = { right: 0, wrong: 0, failed: 0, lost: 0, firstProblem: undefined };
  const idle: number[] = [];
  const client = new LoadClient(link, load, tally, strictness);
  client.onIdle = () => idle.push(link.sent);
  // The clock of the cell has run out already: each operation is sent once and none follows.
  client.start(inFlight, 0);
  return { link, tally, idle };
}

test.each([
  ["the expected answer is right", right, { right: 1, wrong: 0, failed: 0 }],
  ["another value is wrong", { ...right, value: 8 }, { right: 0, wrong: 1, failed: 0 }],
  ["no value is wrong", { ...right, value: undefined }, { right: 0, wrong: 1, failed: 0 }],
  ["a row too many is wrong", { ...right, rows: 2 }, { right: 0, wrong: 1, failed: 0 }],
  ["another transaction status is wrong", { ...right, status: "T" }, { right: 0, wrong: 1, failed: 0 }],
  ["an ErrorResponse is failed", { ...right, rows: 0, error: "42601 x" }, { right: 0, wrong: 0, failed: 1 }],
])("over a scripted link, %s", (_, answer, counts) => {
  const { link, tally, idle } = start(1);
  link.onAnswer(answer);
  expect(tally).toMatchObject({ ...counts, lost: 0 });
  expect(idle).toEqual([1]);
});

test("over a scripted link, what is under way when the link ends is lost", () => {
  const { link, tally, idle } = start(20);
  link.onAnswer(right);
  link.onLost("gone");
  link.onLost("gone");
  expect(tally).toEqual({ right: 1, wrong: 0, failed: 0, lost: 19, firstProblem: "gone" });
  expect(idle).toEqual([20]);
});

test("over a scripted link, a server of constants is checked for the shape only", () => {
  const { link, tally } = start(2, "shape");
  link.onAnswer({ ...right, value: 1, status: "T" });
  link.onAnswer({ ...right, rows: 0 });
  expect(tally).toMatchObject({ right: 1, wrong: 1 });
});
