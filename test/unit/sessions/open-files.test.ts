/** How many files a backend may keep open. */
import { expect, test } from "vitest";
import { filesPerBackend } from "../../../src/sessions/open-files.ts";

test.each([
  [110, 1_048_576, 1000],
  [110, 20_000, 179],
  [10, 1024, 81],
  [110, 1024, 64],
  [110, undefined, 1000],
])("%i sessions and a limit of %j files: %i", (sessions, limit, files) => {
  if (limit === undefined && process.platform === "linux")
    return expect(filesPerBackend(sessions)).toBeGreaterThanOrEqual(64);
  expect(filesPerBackend(sessions, limit)).toBe(files);
});
