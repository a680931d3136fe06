import { useDatabase } from "pglite-devdb/vitest";
import { expect, test } from "vitest";

const db = useDatabase();
const early = (() => {
  try {
    return db.url;
  } catch (error) {
    return (error as Error).message;
  }
})();

test("before a test there is no database", () => {
  expect(early).toBe("there is a database while a test runs, and not before: ask for its url in the test or a hook");
  expect(db.url).toMatch(/^postgresql:/);
});
