/** The order of plain files, and which drizzle entries must be committed together. */
import { describe, expect, it } from "vitest";
import { inSafeTransactions } from "../../../src/migrate/drizzle.ts";
import { plainMigrations } from "../../../src/migrate/migration-folder.ts";
import { compareNaturally } from "../../../src/migrate/plain.ts";

describe("compareNaturally", () => {
  it("orders numbers by value and the rest by text", () => {
    const ordered = [
      "1_a.sql",
      "2_a.sql",
      "2_b.sql",
      "10_a.sql",
      "20240101000000000001_a.sql",
      "20240101000000000002_a.sql",
      "a.sql",
      "a2.sql",
      "a10.sql",
    ];
    expect([...ordered].reverse().sort(compareNaturally)).toEqual(ordered);
  });

  it("is a total order: names with the same numbers keep one place", () => {
    const names = ["01.sql", "1.sql", "001.sql"];
    const ordered = [...names].sort(compareNaturally);
    for (const permutation of [[...names].reverse(), [names[1]!, names[2]!, names[0]!]])
      expect(permutation.sort(compareNaturally)).toEqual(ordered);
    expect(compareNaturally("01.sql", "1.sql")).toBe(-compareNaturally("1.sql", "01.sql"));
    expect(compareNaturally("01.sql", "1.sql")).not.toBe(0);
  });
});

describe("plainMigrations", () => {
  it("leaves undo files, hidden files and other files out", () => {
    const names = ["1.sql", "2.SQL", "3.up.sql", "3.down.sql", ".4.sql", "readme.md", "5.sql.bak"];
    expect(plainMigrations(names)).toEqual(["1.sql", "2.SQL", "3.up.sql"]);
  });

  it.each([
    ["postgrator", ["001.do.sql", "001.undo.sql", "002.do.users.sql", "002.undo.users.sql"]],
    ["postgrator, by version alone", ["001.do.create-users.sql", "001.undo.drop-users.sql", "002.undo.sql"]],
    ["db-migrate", ["20260101-add-up.sql", "20260101-add-down.sql"]],
    ["golang-migrate, without its other half", ["1_a.up.sql", "1_a.down.sql", "2_b.down.sql"]],
    ["a name without a word for the first", ["1_a.sql", "1_a.rollback.sql", "2_b.sql", "2_b_revert.sql"]],
    ["names in any case", ["1_UP.sql", "1_Down.sql"]],
    ["Flyway", ["V1__a.sql", "U1__a.sql"]],
  ])("leaves the undo halves of pairs out: %s", (_tool, names) => {
    expect(plainMigrations(names).filter((name) => /undo|down|rollback|revert|^U/i.test(name))).toEqual([]);
    expect(plainMigrations(names).length).toBeGreaterThan(0);
  });

  it("keeps files whose word for an undo has no other half", () => {
    const names = ["1_drop_users.sql", "2_rollback_feature.sql", "3_users.sql", "4_undo.sql"];
    expect(plainMigrations(names)).toEqual(names);
  });
});

describe("inSafeTransactions", () => {
  const group = (...whens: number[]) =>
    inSafeTransactions(whens.map((when) => ({ when }))).map((entries) => entries.map(({ when }) => when));

  it("commits entries in rising order one by one", () => {
    expect(group(1, 2, 3)).toEqual([[1], [2], [3]]);
    expect(group()).toEqual([]);
  });

  it("keeps entries together when a later one is older: it would count as applied without being so", () => {
    expect(group(1, 5, 3, 4, 6)).toEqual([[1], [5, 3, 4], [6]]);
    expect(group(2, 2, 3)).toEqual([[2, 2], [3]]);
    expect(group(3, 2, 1)).toEqual([[3, 2, 1]]);
  });
});
