/**
 * psycopg 3 and SQLAlchemy with two open sessions that are in each other's way, three such pairs at a time.
 *
 * @module-tag long
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { expectRight, type Program, pythonProgram } from "../support/check-program.ts";
import { type ClientName, requireClient } from "../support/installed.ts";
import { type ServerProcess, startOurs } from "../support/server-process.ts";

const pairs = 3;
let server: ServerProcess;

beforeAll(async () => {
  server = await startOurs(["--sessions", "isolated"]);
});
afterEach(() => server.expectHealthy());
afterAll(() => server?.stop());

describe.each<[ClientName, Program, (readonly [string, number, string])[]]>([
  [
    "psycopg 3",
    pythonProgram("sessions_psycopg.py"),
    [
      ["isolation", 33, "uncommitted rows, a snapshot, settings and temporary tables"],
      ["blocked", 27, "an UPDATE in a thread goes on after the other's commit, and after its rollback"],
      ["deadlock", 12, "one of two gets 40P01, the other goes on"],
      ["savepoints", 24, "nested transactions give up rows and locks"],
      ["cursors", 18, "server-side cursors of one name"],
    ],
  ],
  [
    "SQLAlchemy",
    pythonProgram("sessions_sqlalchemy.py"),
    [
      ["isolation", 18, "what was flushed, and a snapshot"],
      ["blocked", 6, "with_for_update in a thread goes on after the other's commit"],
      ["savepoints", 21, "begin_nested gives up rows and locks"],
      ["cursors", 12, "stream_results"],
    ],
  ],
])("two sessions of %s", (client, program, cases) => {
  beforeEach((context) => requireClient(context, client));

  test.each(cases)("%s: every one of %d answers is right (%s)", async (name, checked) => {
    const result = await program(name, server.url, pairs);
    expect(result.timedOut, result.all).toBe(false);
    expectRight(result, name, checked);
  });
});
