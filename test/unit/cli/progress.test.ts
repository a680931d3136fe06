/** The line of what a command is at: where it is shown, and what is left of it. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { logTo } from "../../../src/cli/log.ts";
import { ProgressLine } from "../../../src/cli/progress.ts";

const erase = "\r\u001b[K";
const usual = { logLevel: "info", output: "text" } as const;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function lineOn({ isTTY = true, columns = 40, environment = {}, options = usual as never }) {
  const written: string[] = [];
  const line = new ProgressLine({ isTTY, columns, write: (text) => written.push(text) }, environment, options);
  return { line, written };
}

test("it comes after a moment, is written again in its place, makes room for the log, and goes", () => {
  const { line, written } = lineOn({});
  line.doing("one");
  vi.advanceTimersByTime(400);
  expect(written).toEqual([]);
  vi.advanceTimersByTime(200);
  line.doing("two");
  vi.advanceTimersByTime(600);
  logTo(line, "info")("info", "news");
  vi.advanceTimersByTime(200);
  line.end();
  line.doing("three");
  vi.advanceTimersByTime(1000);
  expect(written).toEqual([
    `${erase}pglite-devdb: one (0 s)`,
    `${erase}pglite-devdb: two (0 s)`,
    `${erase}pglite-devdb: two (1 s)`,
    `${erase}pglite-devdb: two (1 s)`,
    erase,
    "pglite-devdb: news\n",
    `${erase}pglite-devdb: two (1 s)`,
    erase,
  ]);
});

test("while code runs that may write by itself there is none", () => {
  const { line, written } = lineOn({});
  line.doing("one");
  vi.advanceTimersByTime(600);
  line.doing(undefined);
  vi.advanceTimersByTime(600);
  expect(written).toEqual([`${erase}pglite-devdb: one (0 s)`, erase]);
});

test.each(["x".repeat(90), "表".repeat(90), "a\u001b[31mb\r\nc\u0007".repeat(20)])(
  "%j stays on one line and changes nothing of the terminal",
  (text) => {
    const { line, written } = lineOn({ columns: 30 });
    line.doing(text);
    vi.advanceTimersByTime(600);
    const [shown = ""] = written;
    const columns = [...shown.slice(erase.length)].reduce((sum, c) => sum + (c === "表" ? 2 : 1), 0);
    expect(shown.slice(erase.length)).toMatch(/^pglite-devdb: \P{Cc}+… \(0 s\)$/u);
    expect(columns).toBeLessThan(30);
  },
);

test.each([
  ["no terminal", { isTTY: false }],
  ["CI", { environment: { CI: "true" } }],
  ["a terminal that cannot go back", { environment: { TERM: "dumb" } }],
  ["--log-level error", { options: { ...usual, logLevel: "error" } as never }],
  ["--log-level silent", { options: { ...usual, logLevel: "silent" } as never }],
  ["--output json", { options: { ...usual, output: "json" } as never }],
])("%s: only what is logged", (_, settings) => {
  const { line, written } = lineOn(settings);
  line.doing("one");
  vi.advanceTimersByTime(2000);
  line.write("news\n");
  line.end();
  expect(written).toEqual(["news\n"]);
});
