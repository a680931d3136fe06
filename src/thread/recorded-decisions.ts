/**
 * The scheduler's decisions, as a trace has them.
 *
 * Owns: the words for what a session waits for. Does not own: the decisions (`engine/thread/sessions/scheduler.ts`), the
 * trace (`trace/record/`).
 */
import { blockers } from "../engine/thread/sessions/deadlock.ts";
import type { SessionHost } from "../engine/thread/sessions/host.ts";
import type { SchedulerObserver, Wait } from "../engine/thread/sessions/scheduler.ts";
import type { SessionState } from "../engine/thread/sessions/session-context.ts";
import type { Recorder } from "../trace/record/recorder.ts";

/** Records them. */
export function decisionsOf(host: SessionHost, recorder: Recorder): SchedulerObserver<SessionState> {
  return {
    turn: ({ pid }) => recorder.decided(pid, "turn"),
    wait: (session, wait) =>
      wait.givesWay
        ? recorder.decided(session.pid, "yield")
        : recorder.decided(session.pid, "wait", reason(host, session, wait)),
    woken: ({ pid }) => recorder.decided(pid, "woken"),
  };
}

function reason(host: SessionHost, session: SessionState, wait: Wait): string {
  if (wait.until) return "client";
  const holders = blockers(host, session).map(({ pid }) => pid);
  if (holders.length > 0) return `lock of ${holders.join(", ")}`;
  return wait.latch === undefined ? "time" : "event";
}
