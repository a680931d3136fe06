/** What PostgreSQL's own generators begin with. */
import { expect, test } from "vitest";
import { RandomSource } from "../../../src/sessions/random-source.ts";

test("no two sessions begin with the same bytes, also when the system is asked once more", () => {
  const source = new RandomSource(() => 1001);
  const drawn = Array.from({ length: 600 }, () => Buffer.from(source.beginning(16)).toString("hex"));
  expect(new Set(drawn).size).toBe(600);
  expect(drawn.every((bytes) => bytes.length === 32)).toBe(true);
});
