import { expect, test } from "vitest";
import { parseSpec } from "../../scripts/conformance/parse-spec.ts";
import { permutationName } from "../../scripts/conformance/spec.ts";

const spec = `
# a comment, { not SQL
setup { create table t (v int); }
setup
{
  vacuum t;
}
teardown { drop table t; }
session s1
setup { begin; }
step a1 {  select 1;  }
step "a 2" { select 'it''s';
}
teardown { commit; }
session "step"
step b1 { select 3; }
`;

test("set-ups, sessions, steps and tear-downs, with the SQL as it is but for its outer blanks", () => {
  const { setups, teardown, sessions } = parseSpec(spec);
  expect(setups).toEqual(["create table t (v int);", "\n  vacuum t;\n"]);
  expect(teardown).toBe("drop table t;");
  expect(sessions.map(({ name }) => name)).toEqual(["s1", "step"]);
  expect(sessions[0]).toMatchObject({ setup: "begin;", teardown: "commit;" });
  expect(sessions[0]!.steps).toEqual([
    { name: "a1", sql: "select 1;", session: 0 },
    { name: "a 2", sql: "select 'it''s';\n", session: 0 },
  ]);
});

test("without written permutations all interleavings are run, the first session first", () => {
  expect(parseSpec(spec).permutations.map(permutationName)).toEqual(["a1 a 2 b1", "a1 b1 a 2", "b1 a1 a 2"]);
});

test("written permutations with their markers", () => {
  const { permutations, unusedSteps } = parseSpec(
    `${spec} permutation a1 b1(*, a1, "a 2" notices 2) "a 2" permutation b1`,
  );
  expect(permutations.map(permutationName)).toEqual(["a1 b1 a 2", "b1"]);
  expect(permutations[0]![1]!.blockers).toMatchObject([
    { kind: "launch" },
    { kind: "step", step: { name: "a1" } },
    { kind: "notices", step: { name: "a 2" }, count: 2 },
  ]);
  expect(unusedSteps).toEqual([]);
  expect(parseSpec(`${spec} permutation a1 b1`).unusedSteps).toEqual(["a 2"]);
});

test.each([
  ["session s step a { } step a { }", "duplicate step name: a"],
  ["session s step a { } permutation b", 'undefined step "b"'],
  ["session s step a { } step b { } permutation a b(a)", "cannot block on its own session"],
  ["session s step a { } session t step b { } permutation a(b)", 'undefined blocking step "b"'],
  ["session s\nstep a {", "line 2: unexpected"],
  ["session s\n\nsetup { }", "line 3"],
  ["setup { }", "instead of a session"],
])("what the tester refuses is refused: %s", (text, message) => {
  expect(() => parseSpec(text)).toThrow(message);
});
