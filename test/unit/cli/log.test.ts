/**
 * The log lines on stderr.
 */
import { expect, test } from "vitest";
import { logTo } from "../../../src/cli/log.ts";
import type { LogLevel } from "../../../src/options.ts";

function linesAt(level: LogLevel): string {
  let text = "";
  const log = logTo({ write: (chunk: string) => (text += chunk) }, level);
  log("error", "bad");
  log("info", "news");
  log("debug", "detail");
  return text;
}

test("each level shows itself and what is graver", () => {
  expect(linesAt("silent")).toBe("");
  expect(linesAt("error")).toBe("pglite-devdb: error: bad\n");
  expect(linesAt("info")).toBe("pglite-devdb: error: bad\npglite-devdb: news\n");
  expect(linesAt("debug")).toBe("pglite-devdb: error: bad\npglite-devdb: news\npglite-devdb: detail\n");
});

test("a message of several lines is one entry", () => {
  let text = "";
  logTo({ write: (chunk: string) => (text += chunk) }, "info")("info", "one\ntwo\n");
  expect(text).toBe("pglite-devdb: one\n  two\n");
});
