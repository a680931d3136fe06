/**
 * The benchmark's command line: a bad value is named, nothing is guessed.
 */
import { expect, test } from "vitest";
import { readBenchOptions } from "../../scripts/bench/options.ts";
import { UsageError } from "../../src/errors.ts";

test("without arguments every row and every target is run", () => {
  expect(readBenchOptions([])).toMatchObject({ seconds: 1, rounds: 5, jsonFile: undefined, profile: undefined });
  expect(readBenchOptions([])).toHaveProperty("targets", [
    "ours",
    "shared",
    "stock",
    "in-process",
    "constants",
    "postgres",
  ]);
});

test("each row is also measured on a busy machine if that is asked for", () => {
  expect(readBenchOptions([])).toHaveProperty("busy", false);
  expect(readBenchOptions(["--busy"])).toHaveProperty("busy", true);
});

test("what recording costs is measured beside the same server that records nothing", () => {
  expect(readBenchOptions(["--trace"])).toHaveProperty("targets", ["ours", "traced"]);
  expect(() => readBenchOptions(["--trace", "--targets", "ours"])).toThrow(
    /--trace: is for the targets ours and traced/,
  );
});

test("rows and targets keep the order of the table", () => {
  const options = readBenchOptions(["--only", "memory,prepared", "--targets=stock,ours", "--seconds", "0.5"]);
  expect(options).toMatchObject({ rows: ["prepared", "memory"], targets: ["ours", "stock"], seconds: 0.5 });
});

test.each([
  [["--seconds", "fast"], /--seconds "fast": takes a number from 0.1 to 600/],
  [["--seconds", ""], /--seconds "": takes a number/],
  [["--seconds", "NaN"], /--seconds "NaN": takes a number/],
  [["--rounds", "1.5"], /--rounds "1.5": takes a whole number from 1 to 100/],
  [["--rounds", "0"], /--rounds "0": takes a whole number/],
  [["--only", "insert,update"], /--only "insert,update": "update" is none of unprepared,/],
  [["--targets", "mysql"], /--targets "mysql": "mysql" is none of ours,/],
  [["--json", "/no/such/directory/x.json"], /--json "\/no\/such\/directory\/x.json": takes a file in a directory that/],
  [["--profile", "stock", "--targets", "ours"], /--profile stock: takes one of the targets that are run \(ours\)/],
  [["--profile", "postgres"], /--profile postgres: takes a target that is a Node server/],
  [["--speed"], /Unknown option '--speed'/],
  [["now"], /Unexpected argument 'now'/],
])("%j is refused with a sentence", (argv, message) => {
  expect(() => readBenchOptions(argv)).toThrow(UsageError);
  expect(() => readBenchOptions(argv)).toThrow(message);
});
