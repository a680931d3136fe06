import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readConformanceOptions } from "../../scripts/conformance/options.ts";
import { runSuite } from "../../scripts/conformance/run-suite.ts";

const directory = mkdtempSync(join(tmpdir(), "pglite-devdb-conformance-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function writeSuite(name: string, spec: string, expected: string): void {
  for (const folder of ["specs", "expected"]) mkdirSync(join(directory, folder), { recursive: true });
  writeFileSync(join(directory, "specs", `${name}.spec`), spec);
  writeFileSync(join(directory, "expected", `${name}.out`), expected);
}

async function run(name: string) {
  const options = readConformanceOptions(["--specs", directory, "--only", name, "--limit", "3"]);
  if (options === "help") throw new Error("no help was asked for");
  const { specs } = await runSuite(options, () => {});
  return specs[0]!;
}

test("a permutation that never ends, or leaves something behind, fails alone", { tags: "long" }, async () => {
  // The second permutation cannot end: its last step is one of a session that waits. The tear-down of the third fails.
  writeSuite(
    "alone",
    `setup { create table t (v int); insert into t values (1); }
     teardown { drop table t; }
     session s1
     step lock1 { begin; lock table t; }
     step read1 { select v as x, 'text' as "name" from t; }
     step leave1 { drop table t; create view t as select 1 as v; }
     session s2
     step lock2 { begin; lock table t; }
     step read2 { select 2; }
     permutation read1
     permutation lock1 lock2 read2
     permutation leave1
     permutation read1`,
    `Parsed test spec with 2 sessions\n${"\nstarting permutation: read1\nstep read1: select v as x, 'text' as \"name\" from t;\nx|name\n-+----\n1|text\n(1 row)\n\n".repeat(4)}`,
  );
  const { problem, verdicts } = await run("alone");
  expect(problem).toBeUndefined();
  expect(verdicts.map(({ name, outcome, ending }) => `${name}: ${outcome}, ${ending}`)).toEqual([
    "read1: passed, ran",
    "lock1 lock2 read2: failed, time over",
    "leave1: failed, ran",
    "read1: passed, ran",
  ]);
});

test("a specification that cannot be read is a finding", async () => {
  writeSuite("broken", "session s permutation p", "");
  expect(await run("broken")).toMatchObject({ problem: expect.stringContaining("instead of a step"), verdicts: [] });
});
