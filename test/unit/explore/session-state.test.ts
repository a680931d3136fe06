/** What puts the settings of a session back. */
import { expect, test } from "vitest";
import type { AsideRun } from "../../../src/engine/gate.ts";
import type { GateClient } from "../../../src/explore/gate-client.ts";
import { SessionStates } from "../../../src/explore/session-state.ts";

test("a setting with a backslash and a quote is put back as it was with every standard_conforming_strings", async () => {
  const runs: AsideRun[] = [];
  const ask = async (request: { readonly do: string; readonly runs?: readonly AsideRun[] }) => {
    if (request.runs) runs.push(...request.runs);
    return request.do === "settings" ? [[["app.path", String.raw`C:\it's`]]] : [];
  };
  const states = new SessionStates({ ask } as unknown as GateClient);
  await states.learn([1]);
  await states.restore(new Map([[1, [["app.path", "other"]]]]));
  expect(runs[0]?.sql).toContain(String.raw`set_config('app.path', E'C:\\it''s', false)`);
});
