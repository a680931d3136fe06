/**
 * A command that shares the terminal: it stays in this process's group, where the terminal's signals reach it.
 *
 * Owns: whether there is a terminal, and which members of the group are the command's. Does not own: when they must end.
 * Invariant: a member that was there before the command (`npx`, a shell, the other half of a pipe) is never signalled; only the terminal
 * sends Ctrl-C.
 */
import type { ChildProcess } from "node:child_process";
import { isatty } from "node:tty";
import { startGuard } from "../dev-db/process-group.ts";
import { listProcesses } from "../system/process-list.ts";

/** Whether a command that is started here can use a terminal. */
export function hasTerminal(): boolean {
  return process.platform !== "win32" && [0, 1, 2].some((descriptor) => isatty(descriptor));
}

/** Whether Ctrl-C in the terminal goes to this process's group, and so to a command in it. */
export function isInForeground(): boolean {
  const own = listProcesses().find(({ pid }) => pid === process.pid);
  return own !== undefined && own.group === own.foreground;
}

/** Returns the processes in this process's group. */
export function listGroup(): readonly number[] {
  const all = listProcesses();
  const own = all.find(({ pid }) => pid === process.pid)?.group;
  return all.filter(({ group, isZombie }) => group === own && !isZombie).map(({ pid }) => pid);
}

/** Signals a command and its descendants (0 only checks). Returns false if no process is left. `before`: the group's members before the command. */
export function signalForeground(child: ChildProcess, before: readonly number[], signal: NodeJS.Signals | 0): boolean {
  const pids = listGroup().filter((pid) => pid !== process.pid && !before.includes(pid));
  const isRunning = child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  // A shell with job control makes its own group.
  const targets = isRunning ? [...new Set([...pids, child.pid!, -child.pid!])] : pids;
  return targets.map((target) => send(target, signal)).includes(true);
}

/** Like `guardGroup`, for a foreground command. */
export function guardForeground({ pid }: ChildProcess, before: readonly number[]): () => void {
  const group = listProcesses().find((one) => one.pid === process.pid)?.group;
  if (pid === undefined || group === undefined) return () => {};
  return startGuard(guardScript, String(pid), String(group), before.join(" "));
}

const guardScript = `
members() {
  { ps -A -o pid=,pgid= 2>/dev/null || ps -o pid,pgid; } | while read -r pid group; do
    [ "$group" = "$2" ] || continue
    case " $3 " in *" $pid "*) ;; *) echo "$pid" ;; esac
  done
}
all=$(members "$@")
for name in TERM KILL; do
  for target in $all "$1" "-$1"; do kill -s $name -- "$target"; done
  [ $name = KILL ] || sleep 3
done`;

function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
