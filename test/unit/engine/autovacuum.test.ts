/** What autovacuum finds to be in need: PostgreSQL's thresholds, storage parameters and ages. */
import { describe, expect, test } from "vitest";
import {
  type AutovacuumSettings,
  isActive,
  needs,
  readDatabases,
  readSettings,
  settingsQuery,
} from "../../../src/engine/autovacuum.ts";

/** PostgreSQL's defaults. */
const defaults: AutovacuumSettings = {
  autovacuum: "on",
  track_counts: "on",
  autovacuum_vacuum_threshold: "50",
  autovacuum_vacuum_max_threshold: "100000000",
  autovacuum_vacuum_scale_factor: "0.2",
  autovacuum_vacuum_insert_threshold: "1000",
  autovacuum_vacuum_insert_scale_factor: "0.2",
  autovacuum_analyze_threshold: "50",
  autovacuum_analyze_scale_factor: "0.1",
  autovacuum_freeze_max_age: "200000000",
  autovacuum_multixact_freeze_max_age: "400000000",
};

interface Table {
  oid: number;
  kind: string;
  options: string;
  pages: number;
  frozen: number;
  tuples: number;
  age: number;
  multixactAge: number;
  dead: number;
  inserted: number;
  modified: number;
}

const table: Table = {
  oid: 16384,
  kind: "r",
  options: "",
  pages: 0,
  frozen: 0,
  tuples: -1,
  age: 0,
  multixactAge: 0,
  dead: 0,
  inserted: 0,
  modified: 0,
};

/** What a table needs: letters of VACUUM and ANALYZE. */
function needed(facts: Partial<Table>, settings: Partial<AutovacuumSettings> = {}): string {
  const [need] = needs([rowOf(facts)], { ...defaults, ...settings });
  if (!need) return "";
  return `${need.isVacuum ? "V" : ""}${/analyze/.test(need.statement) ? "A" : ""}`;
}

function rowOf(facts: Partial<Table>): (string | null)[] {
  const { oid, kind, options, pages, frozen, tuples, age, multixactAge, dead, inserted, modified } = {
    ...table,
    ...facts,
  };
  const counted = [pages, frozen, tuples, age, multixactAge, dead, inserted, modified].map(String);
  return [String(oid), "public.t", kind, options === "" ? null : options, ...counted];
}

describe("thresholds", () => {
  test("dead rows: more than the threshold and the share of the rows together", () => {
    expect(needed({ tuples: 1000, dead: 250 })).toBe("");
    expect(needed({ tuples: 1000, dead: 251 })).toBe("V");
    // Nobody has ever looked.
    expect(needed({ tuples: -1, dead: 51 })).toBe("V");
    expect(needed({ tuples: 1e9, dead: 100_000_001 })).toBe("V");
    expect(needed({ tuples: 1e9, dead: 100_000_001 }, { autovacuum_vacuum_max_threshold: "-1" })).toBe("");
  });

  test("inserted rows: the share is one of what is not frozen, and -1 is never", () => {
    expect(needed({ tuples: 10_000, pages: 100, inserted: 3000 })).toBe("");
    expect(needed({ tuples: 10_000, pages: 100, inserted: 3001 })).toBe("V");
    expect(needed({ tuples: 10_000, pages: 100, frozen: 50, inserted: 2001 })).toBe("V");
    // The counts are not of one moment.
    expect(needed({ tuples: 10_000, pages: 100, frozen: 120, inserted: 1001 })).toBe("V");
    expect(needed({ inserted: 1e6 }, { autovacuum_vacuum_insert_threshold: "-1" })).toBe("");
  });

  test("changed rows: ANALYZE, beside a VACUUM or alone", () => {
    expect(needed({ tuples: 1000, modified: 150 })).toBe("");
    expect(needed({ tuples: 1000, modified: 151 })).toBe("A");
    expect(needed({ tuples: 1000, modified: 251, dead: 251 })).toBe("VA");
    expect(needed({ oid: 2619, modified: 1000, dead: 1000 })).toBe("V");
    expect(needed({ kind: "t", modified: 1000, dead: 1000 })).toBe("V");
  });
});

describe("storage parameters", () => {
  test.each([
    ["autovacuum_vacuum_threshold=300", { dead: 251 }, ""],
    ["fillfactor=70 autovacuum_vacuum_threshold=0 autovacuum_vacuum_scale_factor=0", { dead: 1 }, "V"],
    ["autovacuum_vacuum_max_threshold=10", { dead: 11 }, "V"],
    ["autovacuum_vacuum_insert_threshold=-1", { inserted: 1e6 }, ""],
    // It stands for the setting.
    ["autovacuum_vacuum_insert_threshold=-2", { inserted: 1e6 }, "V"],
    ["autovacuum_analyze_threshold=0 autovacuum_analyze_scale_factor=0.0", { modified: 1 }, "A"],
    ["autovacuum_enabled=false", { dead: 1e6, modified: 1e6 }, ""],
    ["autovacuum_enabled=OFF", { dead: 1e6 }, ""],
    ["autovacuum_enabled=true", { dead: 1e6 }, "V"],
  ])("%s", (options, facts, expected) => {
    expect(needed({ tuples: 1000, ...facts, options })).toBe(expected);
  });

  test("freeze ages of a table are set for its VACUUM only", () => {
    const options = "autovacuum_freeze_min_age=5 autovacuum_multixact_freeze_table_age=7";
    const [need] = needs([rowOf({ options, dead: 100 })], defaults);
    expect(need?.statement).toBe("vacuum (skip_locked, process_toast false, skip_database_stats) public.t");
    expect(need?.settings).toEqual({ vacuum_freeze_min_age: 5, vacuum_multixact_freeze_table_age: 7 });
  });
});

describe("ages", () => {
  test("old rows are frozen, also in a table that has it switched off; its own age only makes that earlier", () => {
    expect(needed({ age: 200_000_000 })).toBe("");
    expect(needed({ age: 200_000_001 })).toBe("V");
    expect(needed({ age: 200_000_001, modified: 1e6, options: "autovacuum_enabled=off" })).toBe("V");
    expect(needed({ multixactAge: 400_000_001 })).toBe("V");
    expect(needed({ age: 100_001, options: "autovacuum_freeze_max_age=100000" })).toBe("V");
    expect(needed({ age: 200_000_001, options: "autovacuum_freeze_max_age=2000000000" })).toBe("V");
  });

  test("a database with old rows is looked at although nobody has written to it", () => {
    const databases = readDatabases(
      [
        ["5", "postgres", "1 2 3", "100", "0"],
        ["6", "old", "0 0 0", "200000001", "0"],
        ["7", "older", "0 0 0", "0", "400000001"],
      ],
      defaults,
    );
    expect(databases.map(({ isOld }) => isOld)).toEqual([false, true, true]);
  });
});

test("it is off with either setting that PostgreSQL needs for it; all settings are asked for", () => {
  expect(isActive(defaults)).toBe(true);
  expect(isActive({ ...defaults, autovacuum: "off" })).toBe(false);
  expect(isActive({ ...defaults, track_counts: "off" })).toBe(false);
  for (const name of Object.keys(defaults)) expect(settingsQuery).toContain(`'${name}'`);
  expect(readSettings(Object.entries(defaults))).toEqual(defaults);
});
