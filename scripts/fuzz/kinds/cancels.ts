/**
 * Cases of CancelRequests and of statements that would run for long.
 *
 * Owns: when a request comes and with which key. Does not own: what the right key is (the player has it from the
 * server). Invariant: nothing here runs for longer than a moment on a server that cancels and keeps time.
 */
import type { Random } from "../../../src/trace/storm/random.ts";
import { ask, frame, lastQuestion, query, type Step, step } from "../frame.ts";
import { type Action, departures, type Ending, follow, type Play } from "../play.ts";
import { plainLogin } from "../talk/login.ts";

const key = (random: Random): "right" | "wrong" | "short" => random.pick(["right", "right", "wrong", "short"]);

/** Requests around short statements: before, between, in the middle, behind; the client stays usable. */
export function cancelRequests(random: Random): Play[] {
  const actions = follow(0, [plainLogin]);
  for (let left = 1 + random.below(5); left > 0; left--) {
    const request: Action = { do: "cancel", client: 0, key: key(random) };
    const sql = random.pick(["select 1", "select pg_sleep(0.02)", "select count(*) from generate_series(1, 20000)"]);
    const send = say(step("", query(sql)));
    const answer: Action = { do: "await", client: 0, answer: "Z" };
    actions.push(
      ...random.pick([
        [...send, request, answer],
        [request, ...send, answer],
        [...send, answer, request],
      ]),
    );
  }
  const how = random.pick<Ending>(departures);
  return [{ title: "CancelRequests", actions: [...actions, ...say(lastQuestion), { do: "leave", client: 0, how }] }];
}

const endless = [
  "select pg_sleep(60)",
  "select count(*) from generate_series(1, 1000000000000)",
  "do $$ begin loop null; end loop; end $$",
  "do $$ begin begin perform pg_sleep(60); exception when query_canceled then null; end; end $$",
  "with recursive r as (select 1 n union all select n + 1 from r) select count(*) from r",
];

/** A statement without an end: cancelled, timed out, or given up by its client. */
export function endlessStatements(random: Random): Play[] {
  const sql = random.pick(endless);
  const inTransaction = random.oneIn(3) ? [ask("begin")] : [];
  const run = random.oneIn(2)
    ? [frame(`Parse "" ${JSON.stringify(sql)}`), frame('Bind "" ""'), frame('Execute "" 0'), frame("Sync")]
    : [query(sql)];
  const wait: Action = { do: "wait", client: 0, ms: random.pick([0, 5, 50]) };
  const hangUp: Action = { do: "leave", client: 0, how: random.pick<Ending>(["rst", "fin"]) };
  const begun = follow(0, [plainLogin, ...inTransaction, step("", ...run)]);
  switch (random.below(3)) {
    case 0:
      return [{ title: "hang-up in an endless statement", actions: [...begun, wait, hangUp] }];
    case 1: {
      const request: Action = { do: "cancel", client: 0, key: "right" };
      const actions = [...begun, wait, request, ...say(lastQuestion), hangUp];
      return [{ title: "an endless statement, cancelled", actions }];
    }
    default: {
      const timeout = ask(`set statement_timeout to ${random.pick([20, 80])}`);
      const actions = follow(0, [plainLogin, timeout, ...inTransaction, step("", ...run), lastQuestion]);
      return [{ title: "an endless statement, timed out", actions: [...actions, hangUp] }];
    }
  }
}

/** What a client that is connected says. */
function say(what: Step): Action[] {
  return follow(0, [what]).slice(1);
}
