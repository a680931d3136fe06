/**
 * A short trial of what sessions promise, for a binary that they have not been tested with.
 *
 * Owns: the trial. Does not own: when it is made (`../engine/thread/isolated.ts`), or the watchdog over it: a wrong rewrite may also hang
 * (`../engine/engine-worker.ts`). Invariant: it has a database of its own, in memory, so that nobody's data meets a binary that
 * may do anything; it throws, saying what was not as it must be, or the sessions may be used.
 */

import { openMemoryFiles } from "../cluster/memory-files.ts";
import { encodeQuery } from "../wire/frontend.ts";
import { readQueryResults } from "../wire/query-results.ts";
import { SessionHost } from "./host.ts";
import type { RewrittenPostgres } from "./module/module-cache.ts";
import type { Session } from "./session.ts";
import { bytesInput } from "./session-context.ts";

const user = "postgres";

/** Is called before each step, with its name and how long it may take. */
type OnStep = (step: string, limitMs: number) => void;

/** How long the work of a whole boot may take, on a machine that is also busy with other things: seconds are usual. */
export const bootTimeoutMs = 60_000;
/** The same for a few statements, which take milliseconds. */
const statementsTimeoutMs = 10_000;

/** Boots `postgres` on a new database and checks its sessions. Rejects with what is wrong; may hang in a wrong binary. */
export async function tryOut(postgres: RewrittenPostgres, onStep: OnStep): Promise<void> {
  onStep("its first start", bootTimeoutMs);
  const files = await openMemoryFiles();
  const host = await SessionHost.open({
    dataDir: "memory://",
    files,
    copying: files.copying,
    maxSessions: 3,
    postgres,
  });
  // A write that is not marked would be found in no answer.
  host.scheduler.checkImages();
  await host.unlessCrashed(checkSessions(host, onStep));
  onStep("the copy of a database", statementsTimeoutMs);
  await host.unlessCrashed(checkCopies(host));
  await host.close();
}

/** Rejects with what is wrong with the sessions of `host`, which has no others yet. */
export async function checkSessions(host: SessionHost, onStep: OnStep = () => undefined): Promise<void> {
  onStep("the start of two sessions", statementsTimeoutMs);
  const [one, other] = [await start(host), await start(host)];
  onStep("what belongs to a session", statementsTimeoutMs);
  await checkOwnState(one, other);
  onStep("what belongs to all sessions", statementsTimeoutMs);
  await checkRows(one, other, onStep);
  onStep("a notification", statementsTimeoutMs);
  await checkNotification(one, other);
  onStep("the end of the sessions", statementsTimeoutMs);
  await Promise.all([host.closeSession(one), host.closeSession(other)]);
  const last = await start(host);
  const locks = await query(last, `select count(*) from pg_locks where pid <> ${last.pid}`);
  expectEqual("what closed sessions leave", locks, "0");
  await host.closeSession(last);
}

async function checkOwnState(one: Session, other: Session): Promise<void> {
  await query(one, "set work_mem = '9MB'; prepare mine as select 1; create temp table mine (x int)");
  const state = "select current_setting('work_mem'), pg_backend_pid(), (select count(*) from pg_prepared_statements)";
  expectEqual("settings and prepared statements", await query(other, state), `4MB|${other.pid}|0`);
  expectEqual("another's temporary table", await query(other, "select to_regclass('mine') is null"), "t");
  const caught =
    "do $$ begin perform 1 / 0; exception when others then perform set_config('my.trial', 'ok', false); end $$";
  expectEqual("an error that is caught", await query(one, `${caught}; show my.trial`), "ok");
}

async function checkRows(one: Session, other: Session, onStep: OnStep): Promise<void> {
  await query(one, "create table trial (x int); insert into trial values (0)");
  await query(one, "begin; update trial set x = x + 1");
  expectEqual("what another transaction has not committed", await query(other, "select x from trial"), "0");
  onStep("a wait for a row lock", statementsTimeoutMs);
  const waiting = query(other, "update trial set x = x + 10 returning x");
  // The other session's turn comes before this one's.
  const blockers = await query(one, `select pg_blocking_pids(${other.pid})`);
  expectEqual("who blocks a waiting session", blockers, `{${one.pid}}`);
  onStep("the end of a wait for a row lock", statementsTimeoutMs);
  await query(one, "commit");
  expectEqual("a row after the wait for its lock", await waiting, "11");
}

/** The listener is idle: the notification has to come without its asking. */
async function checkNotification(listener: Session, sender: Session): Promise<void> {
  await query(listener, "listen trial");
  const said = new Promise<string>((resolve) => {
    listener.client = (bytes) => resolve(Buffer.from(bytes).toString("latin1"));
  });
  await query(sender, "notify trial, 'hello'");
  const message = await said;
  // Behind the type byte, the length and the sender's pid.
  if (message[0] === "A" && message.startsWith("trial\0hello\0", 9)) return;
  throw new Error("an idle session got something else than a notification");
}

/** Of a database in use, of which not all is in its files. */
async function checkCopies(host: SessionHost): Promise<void> {
  const [one, other] = [await start(host), await start(host)];
  await query(one, "create database trial_default");
  await query(one, "drop database trial_default");
  host.copies.allow(one);
  const copied = query(one, "create database trial_copy template postgres");
  await query(other, "insert into trial values (12)");
  await copied;
  host.copies.allow(undefined);
  const copy = await start(host, "trial_copy");
  const found = await query(copy, "select count(*) filter (where x = 11), count(*) <= 2 from trial");
  expectEqual("rows in the copy of a database", found, "1|t");
  await Promise.all([one, other, copy].map((session) => host.closeSession(session)));
}

async function start(host: SessionHost, database = user): Promise<Session> {
  const session = await host.createSession({ user, database }, () => undefined);
  if (!session) throw new Error("PostgreSQL refused a session");
  return session;
}

/** The last row of the answer, its values joined by `|`. */
async function query(session: Session, sql: string): Promise<string | undefined> {
  const parts: Buffer[] = [];
  await session.run(bytesInput(encodeQuery(sql)), (bytes) => void parts.push(Buffer.from(bytes)));
  return readQueryResults(Buffer.concat(parts)).at(-1)?.rows.at(-1)?.join("|");
}

function expectEqual(what: string, found: string | undefined, wanted: string): void {
  if (found !== wanted) throw new Error(`${what}: ${found} instead of ${wanted}`);
}
