/**
 * Cases of clients that do not read, do not finish, or say nothing, and stay.
 *
 * Owns: how long-winded the answer is that nobody reads. Does not own: the timeouts that end such clients.
 * Invariant: one client stays while the server is probed.
 */
import type { Random } from "../../../src/trace/storm/random.ts";
import { shortConversation } from "../conversation.ts";
import { frame, query, type Step, step } from "../frame.ts";
import { type Action, follow, type Play } from "../play.ts";
import { plainLogin } from "../talk/login.ts";

const longAnswers: readonly (() => Step)[] = [
  () => step("", query("select n, repeat('x', 200) from generate_series(1, 60000) n")),
  () => step("", query("select repeat('x', 12000000)")),
  () => step("", query("copy (select repeat('x', 1000) from generate_series(1, 12000)) to stdout")),
  () => step("", ...Array.from({ length: 400 }, () => query("select repeat('x', 30000)"))),
  () => step("", query("do $$ begin for i in 1..20000 loop raise notice '%', repeat('x', 300); end loop; end $$")),
  () =>
    step(
      "",
      frame(`Parse "" ${JSON.stringify("select repeat('x', 100000) from generate_series(1, 120)")}`),
      frame('Bind "" ""'),
      frame('Execute "" 0'),
      frame("Sync"),
    ),
];

/** A client that asks for much and never reads; perhaps in a transaction, perhaps asking for more. */
export function neverReads(random: Random): Play[] {
  const begin = random.oneIn(3) ? [step("Z", query("begin"))] : [];
  const actions = follow(0, [plainLogin, ...begin]);
  const asks = Array.from({ length: 1 + random.below(2) }, () => random.pick(longAnswers)());
  const wait: Action = { do: "wait", client: 0, ms: random.pick([0, 20, 100]) };
  const rest = follow(0, asks).slice(1);
  return [
    {
      title: "a client that never reads",
      actions: [...actions, { do: "stop reading", client: 0 }, ...rest, wait, { do: "leave", client: 0, how: "stay" }],
    },
  ];
}

/** A client that stops in the middle of its bytes and stays, with its writing half closed or not. */
export function neverFinishes(random: Random): Play[] {
  const steps = shortConversation(random, 2_000);
  const at = random.below(steps.length);
  const last = steps[at]!.frames;
  const bytes = Buffer.concat(last.map((one) => one.bytes));
  const kept = bytes.subarray(0, random.below(bytes.length + 1));
  const actions: Action[] = [
    ...follow(0, steps.slice(0, at)),
    { do: "send", client: 0, frames: last, segments: [kept] },
    { do: "wait", client: 0, ms: random.pick([0, 10, 60]) },
    { do: "leave", client: 0, how: random.oneIn(2) ? "stay" : "half-close" },
  ];
  return [{ title: `a client that stops after ${kept.length} of the last ${bytes.length} bytes`, actions }];
}
