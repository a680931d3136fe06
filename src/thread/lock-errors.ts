/**
 * What is said to whoever wants a database copied or brought back and has waited for others in vain.
 *
 * Owns: the words. Does not own: how long is waited, and for what (`database-branches.ts`, `own-session.ts`).
 * Invariant: each is PostgreSQL's object_in_use (55006); who is in the way is named where that is known.
 */

import { SqlStateError } from "../errors.ts";
import { limits } from "../limits.ts";
import { describeOwner, type Writer } from "../sessions/database-copies.ts";
import type { LockWait } from "../sessions/deadlock.ts";

const objectInUse = "55006";
const tryAgain = "Have it commit or roll back, and try again.";

/** `writer` has been in the way all the time; undefined: now this one, now that one. */
export function inUse(writer: Writer | undefined): Error {
  const seconds = secondsOf(limits.branchWaitMs);
  const why = writer
    ? `a transaction of process ${writer.pid} has been open for ${seconds}. ${writer.description} ${tryAgain}`
    : `in ${seconds} there was no moment without a transaction that changes something. Try again when less is written.`;
  return new SqlStateError(objectInUse, `a database in use could not be copied: ${why}`);
}

/** A session of the server's own has waited for that lock for so long. */
export function waitedTooLong({ what, holders }: LockWait, ms: number): Error {
  const [holder] = holders;
  // A prepared transaction has no session.
  const whose = holder ? `process ${holder.pid}` : "a prepared transaction, or one that waits for it as well,";
  const waited = `a lock that ${whose} has on ${what} was waited for ${secondsOf(ms)}`;
  const description = holder && describeOwner(holder);
  return new SqlStateError(objectInUse, [`${waited}.`, description, tryAgain].filter(Boolean).join(" "));
}

/** As PostgreSQL refuses it while a database has prepared transactions (errdetail_busy_db). `what`: the database. */
export function hasPreparedTransactions(what: string, count: number): Error {
  const there = count === 1 ? "is 1 prepared transaction" : `are ${count} prepared transactions`;
  const message = `${what} is being accessed by other users. There ${there} using the database.`;
  return new SqlStateError(objectInUse, message);
}

function secondsOf(ms: number): string {
  return `${ms / 1000} s`;
}
