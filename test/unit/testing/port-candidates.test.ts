import { describe, expect, test } from "vitest";
import { UsageError } from "../../../src/errors.ts";
import { countPorts, portCandidates, searchOrder } from "../../../src/testing/port-candidates.ts";

const ephemeral = { first: 32_768, last: 60_999 };

function basesOf(count: number, first: number, last: number) {
  return portCandidates(count, { range: { first, last } }, ephemeral).bases;
}

describe("the candidates of a claim", () => {
  test("are all blocks that fit into the range", () => {
    expect(basesOf(3, 21_000, 21_005)).toEqual([21_000, 21_001, 21_002, 21_003]);
    expect(basesOf(1, 21_000, 21_000)).toEqual([21_000]);
  });

  test("leave out every block that touches an ephemeral port", () => {
    expect(basesOf(2, 32_765, 61_002)).toEqual([32_765, 32_766, 61_000, 61_001]);
    expect(basesOf(2, 40_000, 61_001)).toEqual([61_000]);
  });

  test("are neither privileged nor ephemeral by default, and begin at one of them", () => {
    const { bases, startAt, description } = portCandidates(4, {}, ephemeral);
    expect(bases.every((base) => base >= 20_000 && (base + 3 < 32_768 || base > 60_999) && base + 3 <= 65_535)).toBe(
      true,
    );
    expect(bases).toContain(startAt);
    expect(description).toBe("20000-32767, 61000-65535");
  });

  test("lie on both sides of a start in the middle", () => {
    const candidates = portCandidates(2, { range: { first: 21_000, last: 21_009 }, startAt: 21_005 }, ephemeral);
    expect(candidates.startAt).toBe(21_005);
    expect(searchOrder(candidates.bases, 2, 21_005)).toEqual([
      ...[21_005, 21_007, 21_001, 21_003],
      ...[21_006, 21_008, 21_000, 21_002, 21_004],
    ]);
  });

  test("start over at the first when the start lies behind the last", () => {
    expect(searchOrder([21_000, 21_001, 21_002], 2, 21_003)).toEqual([21_000, 21_002, 21_001]);
  });
});

describe("a claim refuses", () => {
  test.each([
    ["a privileged port", { range: { first: 80, last: 2_000 } }, "range.first is 80;", "from 1024 to 65535"],
    ["a port that is no port", { range: { first: 2_000, last: 70_000 } }, "range.last is 70000;", "2000 to 65535"],
    ["a range that runs backwards", { range: { first: 3_000, last: 2_000 } }, "range.last is 2000;", "3000 to 65535"],
    ["a typo in a range", { range: { first: Number("2l000"), last: 22_000 } }, "range.first is NaN;", "whole number"],
    [
      "a start outside of the range",
      { range: { first: 2_000, last: 3_000 }, startAt: 1_999 },
      "startAt is 1999;",
      "2000",
    ],
    ["half a start", { startAt: 21_000.5 }, "startAt is 21000.5;", "whole number"],
    ["a range of ephemeral ports", { range: { first: 33_000, last: 60_000 } }, "range is {", "32768-60999"],
    ["a range that is too small", { range: { first: 2_000, last: 2_001 } }, "range is {", "with 3 consecutive ports"],
  ])("%s", (_what, options, named, accepted) => {
    expect(() => portCandidates(3, options, ephemeral)).toThrow(UsageError);
    expect(() => portCandidates(3, options, ephemeral)).toThrow(named);
    expect(() => portCandidates(3, options, ephemeral)).toThrow(accepted);
  });

  test.each([
    [0, "count is 0;"],
    [1.5, "count is 1.5;"],
    [Number.NaN, "count is NaN;"],
    [257, "count is 257;"],
    [[], "the number of names is 0;"],
    [["db", "db"], 'names is ["db","db"];'],
    [["db", ""], 'names is ["db",""];'],
    [undefined, "names is undefined;"],
  ])("%j as what is wanted", (wanted, named) => {
    expect(() => countPorts(wanted as number)).toThrow(UsageError);
    expect(() => countPorts(wanted as number)).toThrow(named);
  });

  test("nothing that can be claimed", () => {
    expect(countPorts(256)).toBe(256);
    expect(countPorts(["db", "web"])).toBe(2);
  });
});
