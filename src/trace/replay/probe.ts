/**
 * Whether a server lets a client in and answers it.
 *
 * Owns: the one question. Does not own: what follows from no.
 */
import { setTimeout as delay } from "node:timers/promises";
import { encodeQuery } from "../../wire/frontend.ts";
import { type PlayTarget, ReplayConnection } from "./replay-connection.ts";

/** Asks `select 1`; no if there is no answer within `ms`. */
export async function answers(target: PlayTarget, ms: number): Promise<boolean> {
  const connection = new ReplayConnection(0, target, () => {});
  const until = performance.now() + ms;
  const isTrueInTime = async (isTrue: () => boolean): Promise<boolean> => {
    while (!isTrue() && !connection.hasEnded && performance.now() < until) await delay(1);
    return isTrue() && !connection.hasEnded;
  };
  try {
    connection.begin({ user: "postgres", database: "postgres" });
    if (!(await isTrueInTime(() => connection.isSettled))) return false;
    connection.send(encodeQuery("select 1"));
    // RowDescription, DataRow, CommandComplete, ReadyForQuery.
    return await isTrueInTime(() => connection.replies === 4);
  } finally {
    connection.destroy();
  }
}
