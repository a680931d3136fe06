/**
 * A short trial of what sessions promise, for a binary that they have not been tested with.
 *
 * Owns: the trial. Does not own: when it is made (`host.ts`), or the watchdog over it: a wrong rewrite may also hang.
 * Invariant: it leaves nothing in the database; it throws, saying what was not as it must be, or the sessions may be used.
 */
import { encodeQuery } from "../../../wire/frontend.ts";
import { readQueryResults } from "../../../wire/query-results.ts";
import { bytesInput, type Session } from "./session.ts";
import type { SessionOutput } from "./session-context.ts";

/** What the trial needs of the host of the sessions. */
interface SessionMaker {
  createSession(parameters: { user: string }, output: SessionOutput): Promise<Session | undefined>;
  closeSession(session: Session): Promise<void>;
  readonly constantsAreUntouched: boolean;
}

const table = "pg_temp_check_of_sessions";

/** Rejects with what is wrong. */
export async function checkSessions(host: SessionMaker): Promise<void> {
  const [one, other] = [await start(host), await start(host)];
  await query(one, `create table ${table} (x int); insert into ${table} values (0)`);
  try {
    await query(one, "set work_mem = '9MB'; prepare mine as select 1");
    const state = "select current_setting('work_mem'), pg_backend_pid(), (select count(*) from pg_prepared_statements)";
    expectEqual("settings and prepared statements", await query(other, state), `4MB|${other.pid}|0`);

    await query(one, `begin; update ${table} set x = x + 1`);
    expectEqual("what another transaction has not committed", await query(other, `select x from ${table}`), "0");
    const waiting = query(other, `update ${table} set x = x + 10 returning x`);
    // The other session's turn comes before this one's.
    const blockers = await query(one, `select pg_blocking_pids(${other.pid})`);
    expectEqual("who blocks a waiting session", blockers, `{${one.pid}}`);
    await query(one, "commit");
    expectEqual("a row after the wait for its lock", await waiting, "11");

    const caught =
      "do $$ begin perform 1 / 0; exception when others then perform set_config('my.trial', 'ok', false); end $$";
    expectEqual("an error that is caught", await query(one, `${caught}; show my.trial`), "ok");
  } finally {
    await query(one, `rollback; drop table ${table}`);
    await Promise.all([host.closeSession(one), host.closeSession(other)]);
  }
  const last = await start(host);
  expectEqual(
    "what a closed session leaves",
    await query(last, `select count(*) from pg_locks where pid <> ${last.pid}`),
    "0",
  );
  await host.closeSession(last);
  if (!host.constantsAreUntouched) throw new Error("the sessions' self-check: constants of PostgreSQL have changed");
}

async function start(host: SessionMaker): Promise<Session> {
  const session = await host.createSession({ user: "postgres" }, () => undefined);
  if (!session) throw new Error("the sessions' self-check: PostgreSQL refused a session");
  return session;
}

/** The last row of the answer, its values joined by `|`. */
async function query(session: Session, sql: string): Promise<string | undefined> {
  const parts: Buffer[] = [];
  await session.run(bytesInput(encodeQuery(sql)), (bytes) => void parts.push(Buffer.from(bytes)));
  return readQueryResults(Buffer.concat(parts)).at(-1)?.rows.at(-1)?.join("|");
}

function expectEqual(what: string, found: string | undefined, wanted: string): void {
  if (found !== wanted) throw new Error(`the sessions' self-check: ${what}: ${found} instead of ${wanted}`);
}
