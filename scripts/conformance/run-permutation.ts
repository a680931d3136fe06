/**
 * One permutation on open connections, printed as the isolation tester prints it.
 *
 * Owns: set-up, launching the steps in their order, waiting for the rest, tear-down. Does not own: one step's progress
 * (`active-steps.ts`), the connections (`run-spec.ts`).
 * Invariant: what went wrong is thrown after everything that was printed before it is in the output.
 * Mirrors run_permutation() in src/test/isolation/isolationtester.c of PostgreSQL's source.
 */
import { ActiveSteps } from "./active-steps.ts";
import type { BackendLink } from "./backend-link.ts";
import { type Connections, PermutationFailed } from "./connections.ts";
import { printResult } from "./result-table.ts";
import { type Permutation, permutationName, type Spec } from "./spec.ts";

/** Runs the permutation; whether its tear-downs succeeded. Rejects with a `PermutationFailed`, a `ConnectionLost` or a `TimeIsOver`. */
export async function runPermutation(spec: Spec, permutation: Permutation, connections: Connections): Promise<boolean> {
  const { control, sessions, print } = connections;
  print(`\nstarting permutation: ${permutationName(permutation)}\n`);
  for (const sql of spec.setups) await setUp(control, sql, "setup", print);
  for (const [index, { name, setup }] of spec.sessions.entries()) {
    if (setup !== undefined) await setUp(sessions[index]!, setup, `setup of session ${name}`, print);
  }
  await runSteps(spec, permutation, connections);
  let isClean = true;
  for (const [index, { name, teardown }] of spec.sessions.entries()) {
    if (teardown === undefined) continue;
    isClean = (await tearDown(sessions[index]!, teardown, `teardown of session ${name}`, print)) && isClean;
  }
  if (spec.teardown === undefined) return isClean;
  return (await tearDown(control, spec.teardown, "teardown", print)) && isClean;
}

async function runSteps(spec: Spec, permutation: Permutation, connections: Connections): Promise<void> {
  const active = new ActiveSteps(spec, connections);
  for (const placed of permutation) {
    const { session } = placed.step;
    while (active.of(session)) {
      connections.limit.check();
      await active.retry(session, "until it ends");
      await active.retryAll("until it waits");
    }
    active.launch(placed);
    const mustWait = await active.advance(placed, "until it waits");
    await active.retryAll("until it waits");
    if (mustWait) active.addWaiting(placed);
  }
  await active.retryAll("until it ends");
  if (active.waiting.length > 0) {
    throw new PermutationFailed("failed to complete permutation due to mutually-blocking steps");
  }
}

async function setUp(link: BackendLink, sql: string, what: string, print: (text: string) => void): Promise<void> {
  const result = await link.query(sql);
  if (result.kind === "rows") print(printResult(result.columns, result.rows));
  else if (result.kind === "error") throw new PermutationFailed(`${what} failed: ${result.text.trim()}`);
}

async function tearDown(link: BackendLink, sql: string, what: string, print: (text: string) => void): Promise<boolean> {
  const result = await link.query(sql);
  if (result.kind === "rows") print(printResult(result.columns, result.rows));
  else if (result.kind === "error") print(`${what} failed: ${result.text}`);
  return result.kind !== "error";
}
