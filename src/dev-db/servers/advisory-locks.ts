/**
 * Advisory locks on a server: one for preparing a database, and one for each run.
 *
 * Owns: waiting for a lock until a signal ends the wait, and naming its holder in the log; keeping the lock of a run when its connection is lost.
 * Does not own: the databases of runs that have ended (`run-databases.ts`).
 */
import { setTimeout as delay } from "node:timers/promises";
import { executeSql } from "../../engine/execute-sql.ts";
import type { SqlEngine } from "../../migrate/index.ts";
import type { Log } from "../../options.ts";
import { type ClientAddress, connectionUrl } from "../address.ts";
import { ServerClient } from "../server-client.ts";

const againMs = 300;

/** Without this, a timeout of the server, role or database would end the idle connection. Servers before version 14 have no such timeout. */
const neverIdle = "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'";

/** Options of a wait for a lock. */
interface LockWait {
  /** Ends the wait; `takeLock` then rejects with the signal's reason. */
  readonly signal: AbortSignal;
  readonly log: Log;
  /** What the lock is for, as an infinitive. */
  readonly purpose: string;
}

/** Takes an advisory lock in the session of `sql`. While another session holds it, the log names that session once. Rejects with the signal's reason. */
export async function takeLock(sql: SqlEngine, key: number, { signal, log, purpose }: LockWait): Promise<void> {
  for (let isFirst = true; ; isFirst = false) {
    signal.throwIfAborted();
    const [answer] = await executeSql(sql, `SELECT pg_try_advisory_lock(${key})`);
    if (answer?.rows[0]?.[0] === "t") return;
    if (isFirst) log("info", `waiting for ${await describeHolder(sql, key)} to ${purpose}`);
    await delay(againMs, undefined, { signal }).catch(() => {});
  }
}

/** Names the session that holds a lock. pg_locks shows a bigint key as two halves, with an objsubid of 1. */
async function describeHolder(sql: SqlEngine, key: number): Promise<string> {
  const [found] = await executeSql(
    sql,
    `SELECT a.pid, a.usename, a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
     WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
     AND (l.classid::bigint << 32) + l.objid::bigint = ${key}`,
  );
  const [pid, user, application] = found?.rows[0] ?? [];
  if (!pid) return "another session";
  return `the session with the process ID ${pid} (user ${user}${application ? `, application ${application}` : ""})`;
}

/** Takes a lock and takes it again whenever its connection is lost; `key` is an SQL expression. Resolves with the function that releases the lock. */
export async function holdLock(address: ClientAddress, key: string): Promise<() => void> {
  let holder: ServerClient | undefined;
  let isWanted = true;
  const take = async () => {
    const client = await ServerClient.connect(connectionUrl(address), {
      onLost: () => {
        if (holder === client) void takeAgain();
      },
    });
    try {
      await executeSql(client, neverIdle);
      const [answer] = await executeSql(client, `SELECT pg_try_advisory_lock(${key})`);
      // The server may not have noticed yet that the previous connection is gone.
      if (answer?.rows[0]?.[0] !== "t") throw new Error("another session holds the lock of this run");
    } catch (error) {
      client.close();
      throw error;
    }
    if (isWanted) holder = client;
    else client.close();
  };
  const takeAgain = async () => {
    for (holder = undefined; isWanted && !holder; ) {
      await take().catch(() => delay(againMs, undefined, { ref: false }));
    }
  };
  await take();
  return () => {
    isWanted = false;
    holder?.close();
  };
}
