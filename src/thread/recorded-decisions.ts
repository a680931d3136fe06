/**
 * The scheduler's decisions, as a trace has them.
 *
 * Owns: the words for what a session waits for. Does not own: the decisions (`sessions/scheduler.ts`), the
 * trace (`trace/record/`).
 */
import { blockers } from "../sessions/deadlock.ts";
import type { SessionHost } from "../sessions/host.ts";
import type { SchedulerObserver, Wait } from "../sessions/scheduler.ts";
import type { SessionState } from "../sessions/session-context.ts";
import type { Recorder } from "../trace/record/recorder.ts";
import { autovacuumPid } from "./autovacuum-look.ts";

/** Records them; a turn of a session whose turn it was before is none. What autovacuum does is none of the clients' conversation. */
export function decisionsOf(host: SessionHost, recorder: Recorder): SchedulerObserver<SessionState> {
  let last = 0;
  return {
    turn: ({ pid }) => {
      if (pid === autovacuumPid) return;
      if (pid !== last) recorder.decided(pid, "turn");
      last = pid;
    },
    wait: (session, wait) => {
      if (session.pid === autovacuumPid) return;
      last = 0;
      if (wait.givesWay) recorder.decided(session.pid, "yield");
      else recorder.decided(session.pid, "wait", reason(host, session, wait));
    },
    woken: ({ pid }) => {
      if (pid !== autovacuumPid) recorder.decided(pid, "woken");
    },
  };
}

function reason(host: SessionHost, session: SessionState, wait: Wait): string {
  if (wait.until) return "client";
  const holders = blockers(host, session).map(({ pid }) => pid);
  if (holders.length > 0) return `lock of ${holders.join(", ")}`;
  return wait.latch === undefined ? "time" : "event";
}
