import { expect, test } from "vitest";
import { compareTraces } from "./support/compare.ts";
import type { TraceEvent } from "./support/run-script.ts";
import { readScript } from "./support/script.ts";

const script = readScript(`
  setup: create table t (v int)
  # A holds the row
  A: begin → BEGIN
  B: update t
     set v = 2 → waits for A
  A! leave → gone
  B: → UPDATE 1
  C&: select pg_sleep(1)
  C:
`);

const event = (line: number, session: string, kind: TraceEvent["kind"], outcome: string, status = "I"): TraceEvent => {
  return { line, session, kind, outcome, status };
};
const good = [
  event(0, "A", "step", "BEGIN", "T"),
  event(1, "B", "step", "waits for A", ""),
  event(2, "A", "step", "gone"),
  event(2, "B", "end", "UPDATE 1"),
];

test("a script is read line by line", () => {
  expect(script.setups).toEqual(["create table t (v int)"]);
  expect(script.sessions).toEqual(["A", "B", "C"]);
  expect(script.lines.map(({ session, action, expected }) => [session, action.kind, expected])).toEqual([
    ["A", "send", "BEGIN"],
    ["B", "send", "waits for A"],
    ["A", "command", "gone"],
    ["B", "end", "UPDATE 1"],
    ["C", "send", undefined],
    ["C", "end", undefined],
  ]);
  expect(script.lines[1]!.action).toMatchObject({ sql: "update t set v = 2" });
});

test.each([["select 1"], ["a: select 1"], ["A! jump"]])("a line that says nothing is refused: %s", (line) => {
  expect(() => readScript(line)).toThrow(line);
});

test("equal traces have no differences", () => {
  expect(
    compareTraces(script, [
      { name: "ours", trace: good },
      { name: "real", trace: good },
    ]).differences,
  ).toBe(0);
});

test.each([
  ["another outcome", good.with(3, event(2, "B", "end", "UPDATE 0"))],
  ["no wait", good.with(1, event(1, "B", "step", "UPDATE 1"))],
  ["an end too early", good.with(3, event(1, "B", "end", "UPDATE 1"))],
  ["an end too few", good.slice(0, 3)],
  ["an end too many", [...good, event(2, "C", "end", "1")]],
  ["another transaction status", good.with(0, event(0, "A", "step", "BEGIN", "I"))],
])("a difference is found: %s", (_, trace) => {
  expect(
    compareTraces(script, [
      { name: "ours", trace },
      { name: "real", trace: good },
    ]).differences,
  ).toBeGreaterThan(0);
});

test("the table has a column for each session and marks what differs", () => {
  const trace = good.with(3, event(2, "B", "end", "UPDATE 0"));
  const { table } = compareTraces(script, [
    { name: "ours", trace },
    { name: "real", trace: good },
  ]);
  expect(table.split("\n").map((line) => line.replace(/ +/g, " "))).toEqual([
    " │ A │ B │ C │ written │ ours │ real",
    expect.stringMatching(/^─[─┼]+$/),
    " │ begin │ │ │ BEGIN │ BEGIN │ BEGIN",
    " │ │ update t set v = 2 │ │ waits for A │ waits for A │ waits for A",
    " │ leave │ │ │ gone │ gone │ gone",
    "✗ │ │ (ends) │ │ UPDATE 1 │ UPDATE 0 │ UPDATE 1",
  ]);
});
